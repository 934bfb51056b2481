"""cc_proto(): C++ (and gRPC) code from .proto files, made by the system's protoc."""

def cc_proto(name, src, deps = [], grpc = False, visibility = None):
    """A cc_library `name` of the messages (and, with grpc, the services) of one .proto file.

    Args:
      name: the library's name.
      src: the .proto file; it is included as "proto/<base>.pb.h".
      deps: other cc_proto libraries whose files it imports.
      grpc: also generate the service code, "proto/<base>.grpc.pb.h".
      visibility: as for any rule.
    """
    base = src[:-len(".proto")]
    outs = [base + ".pb.h", base + ".pb.cc"]
    command = "protoc -I. --cpp_out=$(GENDIR)"
    if grpc:
        outs += [base + ".grpc.pb.h", base + ".grpc.pb.cc"]
        command += " --grpc_out=$(GENDIR) --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin)"
    native.filegroup(
        name = name + "_src",
        srcs = [src] + [dep + "_src" for dep in deps],
    )
    native.genrule(
        name = name + "_code",
        srcs = [name + "_src"],
        outs = outs,
        cmd = command + " proto/" + src,
    )
    native.cc_library(
        name = name,
        hdrs = [out for out in outs if out.endswith(".h")],
        srcs = [out for out in outs if out.endswith(".cc")],
        deps = deps + ["@system//:protobuf"] + (["@system//:grpcpp"] if grpc else []),
        visibility = visibility,
    )
