"""The rules on the routes and the description of the interface; no house is needed for either."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, cast

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from arbiter.api.app import create_app
from arbiter.api.documentation import openapi_document
from arbiter.api.security import PUBLIC, markdown_routes, requires, route_rules
from arbiter.errors import ConfigurationError
from arbiter.identity.roles import Permission
from arbiter.workflow.house import House

RULES = """
POST /fhir/Bundle/$amend-case        cases:amend
POST /fhir/Bundle/$submit-case       cases:submit
GET  /fhir/metadata                  public
GET  /healthz                        public
GET  /openapi.json                   public
GET  /readyz                         public
GET  /v1/audit/checkpoint            public
POST /v1/audit/exports               audit:read
GET  /v1/audit/exports/{export}      audit:read
DELETE /v1/audit/exports/{export}    audit:read
GET  /v1/audit/exports/{export}/file audit:read
GET  /v1/audit/keys                  public
GET  /v1/audit/tile/entries/{path:path}  audit:read
GET  /v1/audit/tile/{path:path}      public
GET  /v1/cases                       cases:read
POST /v1/cases                       cases:submit
GET  /v1/cases/{case}                cases:read
POST /v1/cases/{case}/acknowledge    escalations:acknowledge
POST /v1/cases/{case}/break-glass    cases:break-glass
POST /v1/cases/{case}/cancel         cases:cancel
GET  /v1/cases/{case}/certificate    cases:read
GET  /v1/cases/{case}/content        cases:read
POST /v1/cases/{case}/contest        cases:contest
GET  /v1/cases/{case}/decision       cases:read
GET  /v1/cases/{case}/entries/{seq}        audit:read
GET  /v1/cases/{case}/entries/{seq}/proof  audit:read
GET  /v1/cases/{case}/events         cases:read
POST /v1/cases/{case}/facts          cases:amend
POST /v1/cases/{case}/outcome        cases:outcome
GET  /v1/cases/{case}/proofs         audit:read
GET  /v1/cases/{case}/receipt        cases:read
GET  /v1/cases/{case}/wanted         cases:read
POST /v1/cases/{case}/retract        cases:retract
GET  /v1/notices                     cases:read
GET  /v1/protocols                   protocols:read
GET  /v1/protocols/{protocol}        protocols:read
POST /v1/subjects/merge              subjects:merge
POST /v1/subjects/search             cases:read
POST /v1/subjects/separate           subjects:merge
"""


@pytest.fixture
def app() -> FastAPI:
    return create_app(cast(House, None))


def test_every_route_has_the_rule_written_down_here(app: FastAPI) -> None:
    written = {tuple(line.split()) for line in RULES.strip().splitlines()}
    assert set(route_rules(app)) == written


def test_the_documentation_names_the_roles_of_every_route(app: FastAPI) -> None:
    table = markdown_routes(app)
    assert "| POST | `/v1/cases` | `cases:submit` | integration-client |" in table
    assert "| GET | `/v1/cases` | `cases:read` | integration-client, auditor |" in table
    assert "| GET | `/healthz` | `public` | anyone |" in table
    assert len(table.splitlines()) == len(route_rules(app)) + 2


def add_unruled_api_route(app: FastAPI) -> None:
    app.get("/forgotten")(lambda: None)


def add_unruled_plain_route(app: FastAPI) -> None:
    app.add_route("/forgotten", lambda _: PlainTextResponse(""))


def add_unruled_mount(app: FastAPI) -> None:
    app.mount("/forgotten", Starlette())


def add_doubly_ruled_route(app: FastAPI) -> None:
    app.get("/forgotten", dependencies=[PUBLIC, requires(Permission.CASES_READ)])(lambda: None)


def add_route_with_another_dependency(app: FastAPI) -> None:
    def anything() -> None: ...

    async def endpoint(_: Annotated[None, Depends(anything)]) -> None: ...

    app.get("/forgotten")(endpoint)


@pytest.mark.parametrize(
    "add",
    [
        add_unruled_api_route,
        add_unruled_plain_route,
        add_unruled_mount,
        add_doubly_ruled_route,
        add_route_with_another_dependency,
    ],
)
async def test_a_route_without_exactly_one_rule_stops_everything(app: FastAPI, add: Any) -> None:
    add(app)
    with pytest.raises(ConfigurationError, match="/forgotten"):
        route_rules(app)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://arbiter.test") as http:
        with pytest.raises(ConfigurationError):
            await http.get("/healthz")


def test_the_pages_may_bring_rules_of_their_own(app: FastAPI) -> None:
    async def session_of() -> None: ...

    session_of.rule = "review:work"  # type: ignore[attr-defined]
    static = Starlette()
    static.rule = "public"  # type: ignore[attr-defined]
    app.get("/review", dependencies=[Depends(session_of)])(lambda: None)
    app.mount("/static", static)
    rules = route_rules(app)
    assert ("GET", "/review", "review:work") in rules
    assert ("*", "/static", "public") in rules


def test_an_included_router_is_looked_through(app: FastAPI) -> None:
    router = APIRouter()
    router.get("/inner", dependencies=[PUBLIC])(lambda: None)
    app.include_router(router, prefix="/outer")
    assert ("GET", "/outer/inner", "public") in route_rules(app)
    router.get("/forgotten")(lambda: None)
    with pytest.raises(ConfigurationError, match="/outer/forgotten"):
        route_rules(app)


# --- the description --------------------------------------------------------------------------------------------------


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(json.dumps(openapi_document(app))))


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()), set())
    if isinstance(node, list):
        return set().union(*(references(value) for value in node), set())
    return set()


def test_the_description_is_openapi_3_1(document: dict[str, Any]) -> None:
    # OpenAPI 3.1.0, "OpenAPI Object": what must be there, and nothing that 3.1 does not know.
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert set(document) <= {
        "openapi",
        "info",
        "jsonSchemaDialect",
        "servers",
        "paths",
        "webhooks",
        "components",
        "security",
        "tags",
        "externalDocs",
    }
    assert {"title", "version"} <= set(document["info"])
    for _, path, operation in operations(document):
        assert path.startswith("/")
        assert operation["responses"], path
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", status)
            assert response["description"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert isinstance(place, dict)


def test_path_parameters_are_described_where_they_stand(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        described = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", path))
        assert all(p["required"] for p in operation.get("parameters", ()) if p["in"] == "path")


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for *_, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_body_is_described_with_an_example(document: dict[str, Any]) -> None:
    posts = [(path, operation) for method, path, operation in operations(document) if method == "post"]
    by_fhir = [operation for path, operation in posts if path.startswith("/fhir/")]
    assert (len(posts), len(by_fhir)) == (14, 2)
    for operation in by_fhir:
        assert set(operation["requestBody"]["content"]) == {"application/fhir+json"}
    bare = [path for path, operation in posts if "requestBody" not in operation]
    assert bare == ["/v1/cases/{case}/acknowledge"], "its path says everything"
    posts = [(path, operation) for path, operation in posts if path not in bare]
    for path, operation in posts:
        if path.startswith("/fhir/"):
            continue
        assert operation["requestBody"]["required"], path
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        schema = document["components"]["schemas"][name]
        assert schema["examples"], path
        assert schema["additionalProperties"] is False


def test_problems_and_proofs_of_identity_are_described(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        public = path in {"/healthz", "/readyz", "/fhir/metadata"} or (
            path.startswith("/v1/audit") and not re.search(r"/(entries|exports)\b", path)
        )
        assert ("security" in operation) is not public, path
        if path.startswith("/v1"):
            problem = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/ProblemOut"}
    assert document["components"]["securitySchemes"]["client"]["scheme"] == "bearer"


def test_the_framework_adds_no_errors_of_its_own_making(document: dict[str, Any]) -> None:
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_schemas_are_json_schema_2020_12(document: dict[str, Any]) -> None:
    def check(node: Any) -> None:
        if isinstance(node, dict):
            # Removed between 3.0 and 3.1.
            assert "nullable" not in node
            assert not isinstance(node.get("exclusiveMinimum"), bool)
            if "type" in node and isinstance(node["type"], str) and "in" not in node:
                assert node["type"] in {
                    "object",
                    "array",
                    "string",
                    "number",
                    "integer",
                    "boolean",
                    "null",
                    "http",
                }
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    for schema in document["components"]["schemas"].values():
        check({key: value for key, value in schema.items() if key not in {"examples", "properties"}})
        for name, described in schema.get("properties", {}).items():
            assert isinstance(described, dict), name
            check(described)
