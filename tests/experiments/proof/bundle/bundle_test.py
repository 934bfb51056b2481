"""The bundle, unpacked into an empty folder and started there without an environment:
bundle_test.py TARBALL MAKER [TEST...].
"""

import glob
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.dont_write_bytecode = True  # the folder of the sources stays as it is
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "support"))
from patience import patience  # noqa: E402

LIMIT_BYTES = 45 << 20
RUN_SECONDS = patience(120)
LINKER = os.path.realpath("/lib64/ld-linux-x86-64.so.2")

TARBALL = os.path.abspath(sys.argv[1])
SPEC = importlib.util.spec_from_file_location("make_bundle", sys.argv[2])
make_bundle = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_bundle)

SYNTHETIC_RUN = [
    "compare", "--arms", "single,ring", "--data", "synthetic", "--steps", "20", "--kernels", "cpu",
    "--set", "data.synthetic.train_samples=2000", "--set", "data.synthetic.test_samples=200",
    "--json"
]


def run(command, cwd, environment=None, seconds=RUN_SECONDS):
    """Runs without this process's environment; the result has returncode, stdout and stderr."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(environment or {})}
    return subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                          timeout=seconds)


def statuses_of(result):
    return [entry["status"] for entry in json.loads(result.stdout)["runs"]]


def can_mount():
    """Whether this user may change what a process sees of the file system."""
    return os.geteuid() == 0 and run(["unshare", "--mount", "mount", "--bind", "/proc", "/proc"],
                                     "/").returncode == 0


class BundleTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        with tarfile.open(TARBALL) as tar:
            cls.entries = tar.getmembers()
            tar.extractall(cls.folder)
        cls.bundle = os.path.join(cls.folder, make_bundle.ROOT)
        cls.names = {os.path.relpath(entry.name, make_bundle.ROOT) for entry in cls.entries}
        cls.has_cuda = "bin/libringmaster_cuda.so" in cls.names

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def check_origin(self, soname, path):
        """Fails unless the library that is loaded from `path` may come from there."""
        name = os.path.basename(soname)
        if os.path.realpath(path).startswith(os.path.realpath(self.bundle) + "/"):
            return
        if make_bundle.GLIBC.match(name) or make_bundle.TOOLKIT.match(name):
            return
        self.fail("%s is taken from %s, not from the bundle" % (soname, path))


class WhatIsInside(BundleTest):
    def test_the_tarball_is_within_its_limit(self):
        self.assertLessEqual(os.path.getsize(TARBALL), LIMIT_BYTES)

    def test_it_holds_files_alone_in_order_and_without_times_or_owners(self):
        names = [entry.name for entry in self.entries]
        self.assertEqual(names, sorted(names))
        for entry in self.entries:
            self.assertTrue(entry.isfile() and entry.name.startswith(make_bundle.ROOT + "/"),
                            entry.name)
            self.assertEqual((entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname),
                             (0, 0, 0, "", ""), entry.name)

    def test_it_holds_neither_glibc_nor_a_toolkit_nor_a_driver(self):
        libraries = [os.path.basename(name) for name in self.names if ".so" in name]
        self.assertIn("libdnnl.so.2", libraries)
        for name in libraries:
            self.assertIsNone(make_bundle.GLIBC.match(name), name)
            self.assertIsNone(make_bundle.TOOLKIT.match(name), name)

    def test_it_holds_the_cuda_library_or_says_why_not(self):
        self.assertNotEqual(self.has_cuda,
                            any(name.endswith(".left_out.txt") for name in self.names))

    def test_it_holds_all_of_mnist_or_nothing(self):
        self.assertIn(len([name for name in self.names if name.startswith("data/")]), (0, 4))

    def test_its_binaries_are_stripped(self):
        for path in glob.glob(self.bundle + "/bin/*"):
            sections = subprocess.run(["readelf", "-SW", path], check=True,
                                      stdout=subprocess.PIPE).stdout
            self.assertNotIn(b".symtab", sections, path)

    def test_every_library_has_its_licence_beside_it(self):
        for name in self.names:
            if not name.startswith("lib/"):
                continue
            package = make_bundle.package_of(
                make_bundle.installed_libraries()[os.path.basename(name)])
            self.assertIn("licences/%s.txt" % package, self.names, name)

    def test_the_manifest_names_every_file_with_its_sum(self):
        sums = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "MANIFEST"],
                              cwd=self.bundle)
        self.assertEqual(sums.returncode, 0)
        with open(self.bundle + "/MANIFEST", encoding="utf-8") as file:
            listed = {line.split()[1] for line in file}
        self.assertEqual(listed | {"MANIFEST"}, self.names)


class WhatItNeeds(BundleTest):
    def test_its_binaries_find_every_library_in_the_bundle(self):
        for path in sorted(glob.glob(self.bundle + "/bin/*")):
            command = [LINKER, path]
            if path.endswith(".so"):
                # As when a program of the bundle loads it: what that has found is there.
                command = [LINKER, "--library-path", self.bundle + "/lib", path]
            trace = run(command, "/", {"LD_TRACE_LOADED_OBJECTS": "1"})
            self.assertEqual(trace.returncode, 0, trace.stderr)
            found = re.findall(r"^\s*(\S+) => (not found|\S+)", trace.stdout, re.M)
            self.assertGreater(len(found), 5, trace.stdout)
            for soname, where in found:
                self.check_origin(soname, where)

    def test_what_is_loaded_while_it_runs_comes_from_the_bundle(self):
        debug = self.folder + "/loaded"
        doctor = run([self.bundle + "/bin/ringmaster", "doctor"], "/",
                     {"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": debug})
        self.assertEqual(doctor.returncode, 0, doctor.stderr)
        loaded = set()
        for path in glob.glob(debug + ".*"):
            with open(path, encoding="utf-8") as file:
                loaded |= set(re.findall(r"calling init: (\S+)", file.read()))
        self.assertIn("libgrpc.so.29", {os.path.basename(path) for path in loaded})
        for path in loaded:
            self.check_origin(os.path.basename(path), path)

    def test_nothing_wants_a_newer_glibc_than_the_readme_says(self):
        for path in glob.glob(self.bundle + "/bin/*") + glob.glob(self.bundle + "/lib/*"):
            self.assertLessEqual(make_bundle.glibc_of(path), (2, 36), path)


class HowItRuns(BundleTest):
    def test_doctor_finds_cpu_transports_and_the_bundles_data(self):
        doctor = run([self.bundle + "/ringmaster", "doctor", "--json"], "/", {"HOME": self.folder})
        self.assertEqual(doctor.returncode, 0, doctor.stderr)
        findings = json.loads(doctor.stdout)
        for topic in ["BLAS", "transport grpc", "transport tcp", "transport shm"]:
            self.assertTrue(findings[topic]["ok"], findings[topic])
        self.assertEqual(findings["MNIST"]["ok"],
                         any(name.startswith("data/") for name in self.names))

    def test_two_workers_train_from_any_folder_without_an_environment(self):
        out = self.folder + "/out"
        compare = run([self.bundle + "/ringmaster"] + SYNTHETIC_RUN + ["--out", out], "/")
        self.assertEqual(compare.returncode, 0, compare.stderr + compare.stdout)
        self.assertEqual(statuses_of(compare), ["ok", "ok"])

    def test_a_program_of_the_users_finds_package_and_library_in_it(self):
        script = self.folder + "/program.py"
        shutil.copy("experiments/python/examples/numpy_mlp.py", script)
        by_launcher = run([self.bundle + "/ringmaster", "compare", "--program",
                           "/usr/bin/python3 " + script, "--arms", "ps,ring", "--steps", "20",
                           "--json", "--out", self.folder + "/programs"], "/")
        self.assertEqual(by_launcher.returncode, 0, by_launcher.stderr + by_launcher.stdout)
        self.assertEqual(statuses_of(by_launcher), ["ok", "ok"])
        alone = run(["/usr/bin/python3", script], self.folder,
                    {"PYTHONPATH": self.bundle + "/python"})
        self.assertEqual(alone.returncode, 0, alone.stderr)

    def test_a_link_to_the_launcher_will_do(self):
        link = self.folder + "/rm"
        os.symlink(self.bundle + "/ringmaster", link)
        self.assertEqual(run([link, "list"], "/").returncode, 0)

    def test_it_trains_in_a_root_that_holds_glibc_and_nothing_else(self):
        root = self.folder + "/root"
        if not can_mount():
            self.skipTest("another root needs the rights to unshare and to mount")
        for name in ["proc", "dev", "tmp", "lib64", "lib/x86_64-linux-gnu"]:
            os.makedirs(root + "/" + name)
        libraries = make_bundle.installed_libraries()
        for soname in [
                "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1",
                "libresolv.so.2"
        ]:
            shutil.copy(libraries[soname], root + "/lib/x86_64-linux-gnu/" + soname)
        shutil.copy(LINKER, root + "/lib64/ld-linux-x86-64.so.2")
        os.rename(self.bundle, root + "/b")
        self.addCleanup(os.rename, root + "/b", self.bundle)
        # Debian's linker looks there by itself.
        script = ("mount --rbind /proc $1/proc && mount --rbind /dev $1/dev && shift &&"
                  " exec chroot \"$@\"")
        enter = ["unshare", "--mount", "sh", "-c", script, "sh", root, root, "/b/bin/ringmaster"]
        compare = run(enter + SYNTHETIC_RUN + ["--out", "/tmp/out"], "/")
        self.assertEqual(compare.returncode, 0, compare.stderr + compare.stdout)
        self.assertEqual(statuses_of(compare), ["ok", "ok"])


class GpuCheck(BundleTest):
    def check(self, *arguments):
        """Runs gpu_check.sh; returns its exit status, its results and what it said."""
        out = tempfile.mkdtemp(dir=self.folder)
        ran = run([self.bundle + "/gpu_check.sh", "--out", out] + list(arguments), "/")
        with open(out + "/results.json", encoding="utf-8") as file:
            results = json.load(file)
        self.assertEqual(results["exit"], ran.returncode)
        return ran.returncode, results, ran.stdout

    def put_in_place_of(self, name, text):
        """Puts a script in place of a file of the bundle, until the test ends."""
        path = self.bundle + "/" + name
        os.rename(path, path + ".kept")
        self.addCleanup(os.rename, path + ".kept", path)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def test_without_a_gpu_it_names_what_is_missing_and_passes_nothing(self):
        if glob.glob("/dev/nvidia[0-9]*"):
            self.skipTest("there is a GPU")
        code, results, said = self.check()
        self.assertEqual(code, 3)
        topics = {text.split(":")[0] for text in results["missing"]}
        self.assertLessEqual({"driver", "device"} if self.has_cuda else {"CUDA library"}, topics)
        self.assertEqual((results["passed"], results["failed"], results["skipped"]),
                         (0, 0, len(results["checks"])))
        self.assertEqual(len(results["checks"]), 11)
        for check in results["checks"]:
            self.assertEqual(check["status"], "skipped")
            self.assertIn("this machine lacks: ", check["figure"])
        self.assertIn("Nothing ran on a GPU", said)

    def test_libraries_of_the_toolkit_that_are_not_found_are_named_one_by_one(self):
        if not self.has_cuda or not os.path.exists("/usr/local/cuda"):
            self.skipTest("needs a CUDA library, and the toolkit in its usual place")
        if not can_mount():
            self.skipTest("a machine without a toolkit needs the rights to unshare and to mount")
        out, empty = tempfile.mkdtemp(dir=self.folder), tempfile.mkdtemp(dir=self.folder)
        script = "mount --bind $1 $2 && shift 2 && exec \"$@\""
        ran = run([
            "unshare", "--mount", "sh", "-c", script, "sh", empty,
            os.path.realpath("/usr/local/cuda"), self.bundle + "/gpu_check.sh", "--out", out
        ], "/")
        self.assertEqual(ran.returncode, 3, ran.stderr)
        for name in ["libcublas.so.13", "libcudart.so.13"]:
            self.assertIn("missing  library: %s is not found" % name, ran.stdout)

    def test_tests_that_ran_nothing_or_skipped_have_not_passed(self):
        for text in [
                "exit 0\n", "echo '[  PASSED  ] 0 tests.'\n",
                "echo '[  PASSED  ] 3 tests.'; exit 1\n",
                "echo '[  PASSED  ] 3 tests.'; echo '[  SKIPPED ] 1 test'\n"
        ]:
            with self.subTest(text):
                self.put_in_place_of("bin/kernels_check", text)
                code, results, _ = self.check("--kernels", "cpu", "--only", "kernels,gradients")
                self.doCleanups()
                self.assertEqual(code, 1)
                self.assertEqual([check["status"] for check in results["checks"]],
                                 ["failed", "failed"])

    def test_weights_that_differ_and_an_accuracy_that_is_too_low_fail(self):
        run_of = '{"test_accuracy":%s,"weights_sha256":"%s"}'
        answer = '{"runs":[%s,%s]}' % (run_of % ("0.99", "ab"), run_of % ("0.98", "ac"))
        self.put_in_place_of(
            "ringmaster",
            "case $1 in doctor) echo '   build  x' ;; *) echo '%s' ;; esac\n" % answer)
        code, results, _ = self.check("--kernels", "cpu", "--only", "training,ps_is_ring,verify")
        self.assertEqual(code, 1)
        found = {check["check"]: check["status"] for check in results["checks"]}
        has_data = any(name.startswith("data/") for name in self.names)
        self.assertEqual(found, {
            "training": "failed" if has_data else "skipped", "ps_is_ring": "failed",
            "verify": "failed"
        })

    def test_a_mistake_in_the_arguments_is_named(self):
        for arguments in [["--kernels", "gpu"], ["--seed", "x"], ["--only", "nothing"],
                          ["--frobnicate"], ["--out"]]:
            ran = run([self.bundle + "/gpu_check.sh"] + arguments, self.folder)
            self.assertEqual(ran.returncode, 2, arguments)
            self.assertIn("error: ", ran.stderr)

    def test_a_rehearsal_of_a_part_passes_and_says_what_it_is(self):
        code, results, said = self.check("--kernels", "cpu", "--only", "ps_is_ring,memcheck",
                                         "--seed", "7")
        self.assertEqual(code, 0, said)
        self.assertEqual([(check["check"], check["status"]) for check in results["checks"]],
                         [("ps_is_ring", "passed"), ("memcheck", "skipped")])
        self.assertEqual((results["kernels"], results["seed"]), ("cpu", 7))
        self.assertIn("it says nothing about a GPU", said)


class WholeRehearsal(BundleTest):
    def test_every_check_that_needs_no_gpu_passes_on_the_cpu(self):
        out = tempfile.mkdtemp(dir=self.folder)
        ran = run([self.bundle + "/gpu_check.sh", "--out", out, "--kernels", "cpu"], "/",
                  seconds=patience(300))
        self.assertEqual(ran.returncode, 0, ran.stdout)
        with open(out + "/results.json", encoding="utf-8") as file:
            results = json.load(file)
        found = {check["check"]: check["status"] for check in results["checks"]}
        has_data = any(name.startswith("data/") for name in self.names)
        names = ["kernels", "gradients", "ps_is_ring", "verify", "codecs"]
        for name in names + (["training"] if has_data else []):
            self.assertEqual(found[name], "passed", ran.stdout)
        for name in ["cuda_ipc", "speed", "pytorch", "memcheck", "racecheck"]:
            self.assertEqual(found[name], "skipped", ran.stdout)
        self.assertGreater(len(results["speed"]["rows"]), 15)
        if results["pytorch"] is not None:
            self.assertEqual([row["step"] for row in results["pytorch"]["rows"]],
                             ["mlp", "transformer"])
            figure = [
                check["figure"] for check in results["checks"] if check["check"] == "pytorch"
            ][0]
            self.assertRegex(figure,
                             r"a whole step of the MLP with cpu: [0-9.]+ ms")


class HowItIsMade(unittest.TestCase):
    def test_the_same_files_give_the_same_bytes(self):
        files = {"b": (b"two", True), "a": (b"one" * 1000, False)}
        with tempfile.TemporaryDirectory() as folder:
            first, second = folder + "/1.tar.gz", folder + "/other/2.tar.gz"
            os.mkdir(folder + "/other")
            make_bundle.write(first, files)
            make_bundle.write(second, dict(reversed(list(files.items()))))
            with open(first, "rb") as one, open(second, "rb") as two:
                self.assertEqual(one.read(), two.read())

    def test_a_program_that_needs_the_toolkit_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "only the CUDA library may"):
            original = make_bundle.needed_by
            make_bundle.needed_by = lambda path: ["libcublas.so.13"]
            try:
                make_bundle.collect_libraries(["bin/ringmaster"])
            finally:
                make_bundle.needed_by = original


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"] + sys.argv[3:])
