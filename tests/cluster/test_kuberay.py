"""The manifest for Kubernetes: KubeRay's fields, Kubernetes's schemas, and what it promises."""

import shlex
from importlib.metadata import version
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import ValidationError

from orchestrator.config.experiment import load_experiment
from tests.conftest import PROJECT
from tests.helpers.kuberay_schema import RayJob

KUBERNETES = "1.33"


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    text = (PROJECT / "cluster" / "kuberay.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


@pytest.fixture
def job(documents: list[dict[str, Any]]) -> RayJob:
    return RayJob.model_validate(documents[1])


def nodes(job: RayJob) -> list[dict[str, Any]]:
    """The pod's specification of every group of nodes."""
    cluster = job.spec.rayClusterSpec
    groups = [cluster.headGroupSpec, *cluster.workerGroupSpecs]
    return [group.template.spec for group in groups]


def pods(job: RayJob) -> list[dict[str, Any]]:
    """Of every pod that KubeRay starts."""
    return [*nodes(job), job.spec.submitterPodTemplate.spec]


def validate(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_kubernetes_accepts_the_volume_and_every_pod(
    documents: list[dict[str, Any]], job: RayJob
) -> None:
    validate(documents[0])
    assert documents[0]["spec"]["accessModes"] == ["ReadWriteMany"]
    for spec in pods(job):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}
        validate(pod)
        with pytest.raises(kubernetes_validate.ValidationError, match="volume"):
            validate(pod | {"spec": spec | {"volume": []}})


@pytest.mark.parametrize("place", ["spec", "rayClusterSpec", "headGroupSpec"])
def test_a_field_that_kuberay_does_not_know_is_noticed(
    documents: list[dict[str, Any]], place: str
) -> None:
    part = documents[1]["spec"]
    for step in {"spec": [], "rayClusterSpec": ["rayClusterSpec"]}.get(
        place, ["rayClusterSpec", place]
    ):
        part = part[step]
    part["serviceAccount"] = "x"
    with pytest.raises(ValidationError, match=r"serviceAccount\n.*not permitted"):
        RayJob.model_validate(documents[1])


def test_the_token_comes_from_a_secret_and_no_door_is_open(job: RayJob) -> None:
    cluster = job.spec.rayClusterSpec
    assert cluster.authOptions.mode == "token"
    assert cluster.headGroupSpec.serviceType == "ClusterIP"
    text = (PROJECT / "cluster" / "kuberay.yaml").read_text(encoding="utf-8")
    # The file says how to make it, and holds none.
    assert f"kubectl create secret generic {cluster.authOptions.secretName}" in text
    assert "kind: Secret" not in text


def test_no_pod_has_rights_that_it_does_not_need(job: RayJob) -> None:
    for spec in pods(job):
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        # As in cluster/Dockerfile.
        assert spec["securityContext"]["runAsUser"] == 1000
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_object_store_stays_in_memory(job: RayJob) -> None:
    """KubeRay mounts a /dev/shm as large as the memory's limit, where a pod mounts none itself."""
    for spec in nodes(job):
        for container in spec["containers"]:
            assert container["resources"]["limits"]["memory"]
            assert "/dev/shm" not in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_the_submitter_is_one_that_kuberay_fills_in(job: RayJob) -> None:
    """With a command and the token; a Kubernetes Job takes no pod that starts anew for ever."""
    spec = job.spec.submitterPodTemplate.spec
    assert spec["restartPolicy"] == "Never"
    [container] = spec["containers"]
    assert not {"command", "args"} & container.keys()
    assert container["image"] == nodes(job)[0]["containers"][0]["image"]


def test_all_pods_share_the_volume_and_the_workers_have_gpus(
    documents: list[dict[str, Any]], job: RayJob
) -> None:
    claim = documents[0]["metadata"]["name"]
    for spec in nodes(job):
        [volume] = [v for v in spec["volumes"] if "persistentVolumeClaim" in v]
        assert volume["persistentVolumeClaim"]["claimName"] == claim
        for container in spec["containers"]:
            assert {"name": volume["name"], "mountPath": "/shared"} in container["volumeMounts"]
    [group] = job.spec.rayClusterSpec.workerGroupSpecs
    [container] = group.template.spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert group.replicas == group.minReplicas == group.maxReplicas
    assert job.spec.rayClusterSpec.headGroupSpec.rayStartParams["num-cpus"] == "0"


def test_the_job_is_a_command_that_exists(job: RayJob) -> None:
    words = shlex.split(job.spec.entrypoint)
    assert words[:4] == ["python", "-m", "orchestrator", "run"]
    at = words.index("--run-dir")
    assert words[at + 1].startswith("/shared/")
    experiment = load_experiment(words[4], words[5:at])
    assert experiment.ray.address == "auto"
    assert job.spec.rayClusterSpec.rayVersion == version("ray")
