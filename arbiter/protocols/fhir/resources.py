"""The members of R4 (4.0.1) resources that are read here, as strict models.

Resources carry many more members; those are ignored, as FHIR allows. Modifier elements are the exception (R4, 2.2.1.4,
"isModifier"): each one that could turn the meaning of what is read around is a member of its model, so that whoever
reads the resource can refuse it. Numbers come as exact decimals.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from arbiter.errors import Problem

UCUM = "http://unitsofmeasure.org"


class Element(BaseModel):
    """What every part of a resource is: strict in what is read, blind to the rest."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


class Modifiable(Element):
    """What may carry modifier extensions: nobody who does not understand one may go on."""

    modifier_extension: list[Any] = Field(default_factory=list, alias="modifierExtension")


def _number(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise PydanticCustomError("number", "expected a number")


Number = Annotated[Decimal, BeforeValidator(_number)]


class Coding(Element):
    """A code of a code system."""

    system: str | None = None
    code: str | None = None


class CodeableConcept(Element):
    """A concept in one or more codings."""

    coding: list[Coding] = Field(default_factory=list)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the codings as (system, code), those that lack either left out."""
        return tuple((one.system, one.code) for one in self.coding if one.system and one.code)


class Period(Element):
    """A time from and to."""

    start: str | None = None
    end: str | None = None


class Identifier(Element):
    """A number in somebody's numbering."""

    use: str | None = None
    system: str | None = None
    value: str | None = None
    period: Period | None = None


class Reference(Element):
    """Points to a resource, by address or by identifier."""

    reference: str | None = None
    identifier: Identifier | None = None


class Quantity(Element):
    """A number with its unit. `comparator` makes it a bound instead of a value."""

    value: Number | None = None
    comparator: str | None = None
    system: str | None = None
    code: str | None = None


class Meta(Element):
    """What a server says of a resource."""

    last_updated: str | None = Field(None, alias="lastUpdated")


class Resource(Modifiable):
    """What every resource has."""

    resource_type: str = Field(alias="resourceType")
    id: str | None = None
    meta: Meta | None = None
    implicit_rules: str | None = Field(None, alias="implicitRules")


class PatientLink(Element):
    """Another record of the same person."""

    type: str | None = None


class Patient(Resource):
    """The person."""

    identifier: list[Identifier] = Field(default_factory=list)
    active: bool = True
    gender: str | None = None
    birth_date: str | None = Field(None, alias="birthDate")
    deceased: bool = Field(default=False, alias="deceasedBoolean")
    deceased_at: str | None = Field(None, alias="deceasedDateTime")
    link: list[PatientLink] = Field(default_factory=list)


class Valued(Modifiable):
    """A value, or why there is none: an Observation's own or a component's."""

    code: CodeableConcept
    quantity: Quantity | None = Field(None, alias="valueQuantity")
    concept: CodeableConcept | None = Field(None, alias="valueCodeableConcept")
    boolean: bool | None = Field(None, alias="valueBoolean")
    absent: CodeableConcept | None = Field(None, alias="dataAbsentReason")


class Observation(Resource, Valued):
    """A measurement or finding."""

    status: str
    subject: Reference | None = None
    focus: list[Reference] = Field(default_factory=list)
    effective_at: str | None = Field(None, alias="effectiveDateTime")
    effective_instant: str | None = Field(None, alias="effectiveInstant")
    effective_period: Period | None = Field(None, alias="effectivePeriod")
    component: list[Valued] = Field(default_factory=list)


class Condition(Resource):
    """A problem or diagnosis."""

    clinical_status: CodeableConcept | None = Field(None, alias="clinicalStatus")
    verification_status: CodeableConcept | None = Field(None, alias="verificationStatus")
    code: CodeableConcept | None = None
    subject: Reference | None = None
    recorded_at: str | None = Field(None, alias="recordedDate")


class Medication(Resource):
    """A drug that a request may point to."""

    status: str | None = None
    code: CodeableConcept | None = None


class MedicationRequest(Resource):
    """An order or plan for a drug."""

    status: str
    intent: str
    do_not_perform: bool = Field(default=False, alias="doNotPerform")
    medication_concept: CodeableConcept | None = Field(None, alias="medicationCodeableConcept")
    medication_reference: Reference | None = Field(None, alias="medicationReference")
    contained: list[Any] = Field(default_factory=list)
    subject: Reference | None = None
    authored_at: str | None = Field(None, alias="authoredOn")


class ListEntry(Modifiable):
    """One line of a list."""

    item: Reference
    deleted: bool = False


class Listing(Resource):
    """A List: with mode `snapshot`, everything there was at its date."""

    status: str
    mode: str
    code: CodeableConcept | None = None
    subject: Reference | None = None
    date: str | None = None
    entry: list[ListEntry] = Field(default_factory=list)
    empty_reason: CodeableConcept | None = Field(None, alias="emptyReason")


class Encounter(Resource):
    """A stay or visit."""

    status: str
    identifier: list[Identifier] = Field(default_factory=list)
    subject: Reference | None = None


class BundleLink(Element):
    """Where more of a search's results are."""

    relation: str


class BundleEntry(Modifiable):
    """One resource of a Bundle and its address."""

    full_url: str | None = Field(None, alias="fullUrl")
    resource: dict[str, Any]


class FhirBundle(Modifiable):
    """The envelope."""

    resource_type: Literal["Bundle"] = Field(alias="resourceType")
    type: str
    implicit_rules: str | None = Field(None, alias="implicitRules")
    link: list[BundleLink] = Field(default_factory=list)
    entry: list[BundleEntry] = Field(default_factory=list, max_length=2_000)


_Model = TypeVar("_Model", bound=BaseModel)


def read_as(model: type[_Model], value: object, place: str, problems: list[Problem]) -> _Model | None:
    """Return the value as the model, or None with a problem a place noted below `place`."""
    try:
        return model.model_validate(value)
    except ValidationError as fault:
        for error in fault.errors(include_url=False, include_input=False):
            steps = "".join(f"/{step}" for step in error["loc"])
            problems.append(Problem(f"{place}{steps}", *_told(error)))
        return None


_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "number": "a number",
}


def _told(error: ErrorDetails) -> tuple[str, str]:
    # Every location is a member's name of ours or an index, so neither place nor words can repeat what was sent.
    kind = error["type"]
    if kind == "missing":
        return "missing", "expected a value here, none came"
    if kind == "too_long":
        return "too-long", f"expected at most {error['ctx']['max_length']} entries"
    if kind in _KINDS:
        return "type", f"expected {_KINDS[kind]}"
    return "unfit", "expected another value"
