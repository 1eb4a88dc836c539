"""Reads manifests, and prints them as JSON if none is wrong by the schemas of every version of Kubernetes
since the one that is given.

What KEDA and the Prometheus Operator define is no part of Kubernetes. Of these the fields that we use are
checked, by the schemas below: what is not in them is wrong, even if it should exist.
"""

import functools
import json
import sys

import jsonschema
import yaml
from kubernetes_validate import utils
from packaging.version import Version


def all_of(**properties):
    """An object that has each of these, and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}

CUSTOM = {
    # KEDA, config/crd/bases/keda.sh_scaledobjects.yaml; the metadata are texts, and what the scaler
    # `prometheus` knows of them.
    ("keda.sh/v1alpha1", "ScaledObject"): all_of(
        scaleTargetRef=all_of(name=TEXT),
        minReplicaCount=COUNT,
        maxReplicaCount=COUNT,
        triggers={
            "type": "array",
            "minItems": 1,
            "items": all_of(
                type={"const": "prometheus"},
                metadata=all_of(
                    serverAddress={"type": "string", "pattern": "^https?://"},
                    query=TEXT,
                    threshold={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
                    ignoreNullValues={"enum": ["true", "false"]},
                ),
            ),
        },
    ),
    # The Prometheus Operator, monitoring.coreos.com_servicemonitors.yaml.
    ("monitoring.coreos.com/v1", "ServiceMonitor"): all_of(
        selector=all_of(matchLabels={"type": "object", "additionalProperties": TEXT}),
        endpoints={
            "type": "array",
            "minItems": 1,
            "items": all_of(port=TEXT, path=TEXT, interval={"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}),
        },
    ),
}


# It reads a megabyte each time that it is asked.
utils.schema_contents = functools.cache(utils.schema_contents)


def check(manifest, versions):
    schema = CUSTOM.get((manifest["apiVersion"], manifest["kind"]))
    if schema:
        jsonschema.validate(manifest["spec"], schema)
        return
    for version in versions:
        utils.validate(manifest, version, strict=True)


def main():
    oldest = Version(sys.argv[1])
    # Each is there twice, as it is and strict.
    versions = dict.fromkeys(version for version in utils.all_versions() if Version(version) >= oldest)
    manifests = [manifest for manifest in yaml.safe_load_all(sys.stdin) if manifest]
    for manifest in manifests:
        try:
            check(manifest, versions)
        except Exception as error:
            why = getattr(error, "message", error)
            where = ".".join(str(step) for step in getattr(error, "absolute_path", []))
            sys.exit(f"{manifest['kind']} {manifest['metadata']['name']}: {where}: {why}")
    json.dump(manifests, sys.stdout)


main()
