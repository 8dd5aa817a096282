"""The fields of KubeRay's RayJob that ``cluster/kuberay.yaml`` uses, with their types.

Names and types are those of ``ray-operator/apis/ray/v1`` in KubeRay (``rayjob_types.go``,
``raycluster_types.go``), from which its custom resource definition is generated. A name that is not
here is refused: add it after a look there.
"""

# ruff: noqa: N815
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AuthOptions(_Strict):
    mode: Literal["disabled", "token"]
    secretName: str


class PodTemplate(_Strict):
    """Its ``spec`` is Kubernetes's own and checked against its schema."""

    spec: dict[str, Any]


class HeadGroupSpec(_Strict):
    serviceType: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]
    rayStartParams: dict[str, str]
    template: PodTemplate


class WorkerGroupSpec(_Strict):
    groupName: str
    replicas: int
    minReplicas: int
    maxReplicas: int
    rayStartParams: dict[str, str]
    template: PodTemplate


class RayClusterSpec(_Strict):
    rayVersion: str
    authOptions: AuthOptions
    headGroupSpec: HeadGroupSpec
    workerGroupSpecs: list[WorkerGroupSpec]


class RayJobSpec(_Strict):
    entrypoint: str
    backoffLimit: int
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: int
    rayClusterSpec: RayClusterSpec
    submitterPodTemplate: PodTemplate


class Metadata(_Strict):
    # KubeRay makes longer names from it for what belongs to the job; 63 characters are the limit.
    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=47)]


class RayJob(_Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec
