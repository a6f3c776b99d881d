"""The shipped protocol `anticoagulation`: should this adult with atrial fibrillation be offered an anticoagulant?"""
