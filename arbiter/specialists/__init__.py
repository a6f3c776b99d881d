"""Three small language models of our own that sit on a demonstration panel, and the script that trains them.

They imitate a made-up rule each and know no medicine: they are here to prove serving, reading, grounding, disagreement and
voting with real models. Never give them a patient's case. `weights/MODEL_CARD.md` says more.
"""
