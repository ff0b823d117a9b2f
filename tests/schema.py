"""What the schemas say, for tests that walk frames with stock Protobuf."""
import os
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

O = os.environ.get("O", "build")


class Schema:
    """Made from schemas/ and from the published schema.

    frame     the class of terse.Frame
    rules     (terse.field) by message and number
    elements  name and namespace by message
    words     the dictionary by number
    """

    def __init__(self, work):
        files = sorted(os.path.relpath(os.path.join(d, f), "schemas")
                       for d, _, names in os.walk("schemas")
                       for f in names if f.endswith(".proto"))
        published = self.compile(work, f"{O}/gen", ["terse.proto"])
        pool = descriptor_pool.DescriptorPool()
        pool.Add(published.file[0])
        self.frame = message_factory.MessageFactory(pool).GetPrototype(
            pool.FindMessageTypeByName("terse.Frame"))
        subprocess.run(["protoc", "-Ischemas", f"--python_out={work}",
                        "terse/options.proto"], check=True)
        sys.path.insert(0, os.path.join(work, "terse"))
        import options_pb2  # registers the options for what follows
        self.options = options_pb2
        self.rules, self.elements, self.words = {}, {}, {}
        for file in self.compile(work, "schemas", files).file:
            for message in file.message_type:
                self.add_message(message)
            for field in file.extension:
                self.add_field(field.extendee.rsplit(".", 1)[1], field)
            for enum in file.enum_type:
                if enum.name == "Word":
                    for v in enum.value:
                        self.words[v.number] = v.options.Extensions[
                            options_pb2.value]

    @staticmethod
    def compile(work, root, files):
        path = os.path.join(work, "set")
        subprocess.run(["protoc", f"-I{root}", "--include_imports",
                        f"--descriptor_set_out={path}", *files], check=True)
        with open(path, "rb") as f:
            return descriptor_pb2.FileDescriptorSet.FromString(f.read())

    def add_message(self, message):
        if message.options.HasExtension(self.options.element):
            rule = message.options.Extensions[self.options.element]
            self.elements[message.name] = (rule.name, rule.ns)
        for field in message.field:
            self.add_field(message.name, field)

    def add_field(self, container, field):
        self.rules[container, field.number] = field.options.Extensions[
            self.options.field]


def frames(path):
    """Those in a file of `terse roundtrip --frames`."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield data[at:at + size]
        at += size
