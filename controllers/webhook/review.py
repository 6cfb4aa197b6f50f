"""The AdmissionReview that the API server sends and reads; what is in the object is each endpoint's business."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ObjectT = TypeVar("ObjectT")


class Wire(BaseModel):
    """camelCase, frozen, and open to fields that nobody here asks for."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class UserInfo(Wire):
    """Who, as the API server authenticated them."""

    username: str = Field(min_length=1)
    groups: list[str] = Field(default_factory=list)


class ResourceName(Wire):
    """Which kind a request is about."""

    group: str
    resource: str


class Request(Wire, Generic[ObjectT]):
    """One write that waits for us."""

    uid: str = Field(min_length=1)
    operation: str
    resource: ResourceName
    sub_resource: str = ""
    user_info: UserInfo
    object: ObjectT | None = None


class Review(Wire, Generic[ObjectT]):
    """``AdmissionReview`` of ``admission.k8s.io/v1``."""

    api_version: Literal["admission.k8s.io/v1"]
    kind: Literal["AdmissionReview"]
    request: Request[ObjectT]


def answer(uid: str, **response: Any) -> dict[str, Any]:
    """The AdmissionReview that goes back."""
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": uid, **response}}
