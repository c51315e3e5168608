"""What an image holds, as a CycloneDX bill of materials: its Python packages, and its distribution's.

Two halves of one pipe. `python - --inventory` runs inside the image and needs nothing but Python; `python sbom.py NAME
VERSION OUT` reads that inventory and writes the bill, with the library of cyclonedx-bom.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, distributions
from pathlib import Path
from typing import Any

LONGEST = 100  # characters of a licence's name; some packages put the whole text there
FORMAT = "${Package}\t${Version}\t${Architecture}\n"


def inventory() -> Iterator[dict[str, str]]:
    """Every package of this interpreter's environment and of dpkg, where there is one."""
    for each in distributions():
        yield {
            "type": "pypi",
            "name": each.metadata["Name"],
            "version": each.version,
            "licence": licence(each.metadata),
        }
    try:
        listed = subprocess.run(["dpkg-query", "-W", "-f", FORMAT], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return
    for line in listed.splitlines():
        name, version, architecture = line.split("\t")
        yield {"type": "deb", "name": name, "version": version, "architecture": architecture}


def licence(metadata: PackageMetadata) -> str:
    """The licence a package states: its expression, its field, or its classifiers; "" for none."""
    fields = metadata.json
    stated = fields.get("license_expression") or fields.get("license") or ""
    if isinstance(stated, str) and 0 < len(stated) <= LONGEST and "\n" not in stated:
        return stated
    named = [each.rpartition(" :: ")[2] for each in fields.get("classifier", []) if each.startswith("License :: ")]
    return " AND ".join(named)


def bill(packages: list[dict[str, str]], name: str, version: str) -> str:
    """The bill of materials as CycloneDX JSON 1.4."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import OutputFormat, SchemaVersion, get_instance

    bom = Bom(components=[_component(each) for each in packages])
    image = Component(name=name, version=version, component_type=ComponentType.CONTAINER, bom_ref=name)
    image.dependencies = {each.bom_ref for each in bom.components}
    bom.metadata.component = image
    output = get_instance(bom=bom, output_format=OutputFormat.JSON, schema_version=SchemaVersion.V1_4)
    return str(json.dumps(json.loads(output.output_as_string()), indent=1))


def _component(package: dict[str, str]) -> Any:
    from cyclonedx.model import License, LicenseChoice
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

    debian = package["type"] == "deb"
    qualifiers = {"arch": package["architecture"]} if debian else None
    purl = PackageURL(package["type"], "debian" if debian else None, package["name"], package["version"], qualifiers)
    stated = package.get("licence")
    licences = [LicenseChoice(license_=License(license_name=stated))] if stated else None
    return Component(
        name=package["name"], version=package["version"], purl=purl, bom_ref=purl.to_string(), licenses=licences
    )


def main() -> None:
    """One of the two halves."""
    if sys.argv[1:] == ["--inventory"]:
        json.dump(list(inventory()), sys.stdout)
        return
    name, version, out = sys.argv[1:]
    packages = json.load(sys.stdin)
    Path(out).write_text(bill(packages, name, version), encoding="utf-8")
    print(f"{len(packages)} packages: {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
