"""Builds a corpus of pickles and archives, and asks every referee what it makes of each file.

`corpus FOLDER SEEDS` writes the files. `ask REFEREE FOLDER FIRST` prints one line a file: number, tab, answer. A payload of the corpus
does nothing but make the folder named by CANARY, so whoever runs one is seen.
"""

import io
import os
import pickle
import random
import struct
import sys
import zipfile
import zlib

CANARY = os.environ.get("CANARY", "/tmp/pickle-differential-canary")
MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


def text(word):
    word = word.encode()
    return b"X" + struct.pack("<I", len(word)) + word


def stream(body, protocol=2):
    return b"\x80" + bytes([protocol]) + body + b"."


def frame(length):
    return b"\x95" + struct.pack("<Q", length)


def payloads():
    path = text(CANARY)
    yield "global", stream(b"cos\nmkdir\n" + path + b"\x85R")
    yield "stack_global", stream(text("os") + text("mkdir") + b"\x93" + path + b"\x85R", 4)
    yield "inst", stream(b"(" + path + b"ios\nmkdir\n")
    yield "obj", stream(b"(cos\nmkdir\n" + path + b"o")
    yield "newobj_ex", stream(b"cos\nmkdir\n" + path + b"\x85}\x92", 4)
    yield "memo", stream(text("os") + b"q\x00" + b"0" + text("mkdir") + b"q\x010h\x00h\x01\x93" + path + b"\x85R", 4)
    yield "framed", b"\x80\x04" + frame(len(b"cos\nmkdir\n" + path + b"\x85R.")) + b"cos\nmkdir\n" + path + b"\x85R."
    yield "protocol_0", b"cos\nmkdir\n(V" + CANARY.encode() + b"\ntR."
    yield "dotted", stream(text("shutil") + text("os.mkdir") + b"\x93" + path + b"\x85R", 4)
    yield "getattr", stream(b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n" + text("os") + b"\x85R" + text("mkdir") + b"tR" + path + b"\x85R")
    yield "eval", stream(b"cbuiltins\neval\n" + text("__import__('os').mkdir(%r)" % CANARY) + b"\x85R")
    yield "numpy", stream(b"cnumpy.testing._private.utils\nrunstring\n(" + text("import os; os.mkdir(%r)" % CANARY) + b"}tR")


def old_torch(third, storages=b""):
    facts = stream(b"}(" + text("little_endian") + b"\x88u")
    return MAGIC + stream(b"M\xe9\x03") + facts + third + stream(b"]") + storages


def archive(members, prefix=b"", local=None):
    data, directory = prefix, b""
    for name, body in members:
        name = name.encode()
        start = len(data)
        fields = struct.pack("<HHHHIIIHH", 0, 0, 0, 0, zlib.crc32(body), len(body), len(body), len(name), 0)
        shown = (local or {}).get(name.decode(), name.decode()).encode()
        data += b"PK\x03\x04\x14\0" + fields + shown + body
        directory += b"PK\x01\x02\x14\0\x14\0" + fields + b"\0" * 10 + struct.pack("<I", start) + name
    return data, directory


def closed(data, directory, count, comment=b"", claimed=None):
    record = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(data), len(comment) if claimed is None else claimed)
    return data + directory + b"PK\x05\x06" + record + comment


def torch_zip(pickled, **forged):
    members = [("archive/data.pkl", pickled), ("archive/byteorder", b"little"), ("archive/version", b"3\n")]
    return closed(*archive(members + forged.pop("more", []), **forged), count=len(members) + len(forged.get("more", [])))


def containers(evil, good):
    yield "bare.pkl", evil
    yield "behind.pkl", good + evil
    yield "zip.pt", torch_zip(evil)
    hidden = torch_zip(evil)
    members = [("archive/data.pkl", good), ("archive/version", b"3\n"), ("archive/data/0", hidden)]
    data, directory = archive(members)
    inner = hidden[-22:-2] + b"\x07\0"
    yield "end_records.pt", closed(data, directory, 3, hidden + inner)
    yield "prefixed.pt", hidden + torch_zip(good)
    yield "prefix_and_zip.pt", good + hidden
    yield "local_name.pt", closed(*archive([("archive/data.pkl", evil)], local={"archive/data.pkl": "archive/xxxx.pkl"}), count=1)
    yield "doubled.pt", closed(*archive([("archive/data.pkl", good), ("archive/data.pkl", evil)]), count=2)
    yield "case.pt", closed(*archive([("archive/DATA.PKL", evil), ("archive/data.pkl", good)]), count=2)
    yield "tensor.pt", closed(*archive([("archive/data.pkl", good), ("archive/data/0", evil)]), count=2)
    yield "old.pt", old_torch(evil)
    yield "old_tail.pt", old_torch(good, evil)
    small = stream(b"N")
    inside = b"\x80\x04" + frame(3 + 3 * len(small)) + b"K\x01." + small * 3
    yield "frame.pt", MAGIC + inside + stream(b"}") + evil + stream(b"]")
    yield "frame.pkl", b"\x80\x04" + frame(2 + len(small)) + b"N." + small + evil
    yield "protocol_twice.pkl", b"\x80\x02\x80\x04" + evil[2:] if evil[:1] == b"\x80" else evil
    yield "tar.pt", tar(evil, good)
    yield "array.npy", numpy_array(evil)
    for name in ["a.pt2", "a.th", "a.joblib", "a.dat", "a.model", "none"]:
        yield name, evil


def numpy_array(objects):
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + objects


def tar(evil, good):
    def header(name, size):
        block = bytearray(512)
        block[: len(name)] = name
        block[124:136] = b"%011o\0" % size
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block)

    front = (MAGIC + stream(b"M\xe9\x03") + stream(b"}") + good + stream(b"]"))[:100]
    files = [(front, b""), (b"storages", evil), (b"tensors", evil), (b"pickle", evil)]
    return b"".join(header(name, len(body)) + body + b"\0" * (-len(body) % 512) for name, body in files) + b"\0" * 1024


def honest():
    plain = [{"a": [1, 2.5, "x", b"y" * 70000]}, list(range(3000)), {"n": None, "t": (1, 2), "s": {1, 2}}]
    for protocol in range(6):
        for number, value in enumerate(plain):
            yield f"plain{number}_{protocol}.pkl", pickle.dumps(value, protocol)
    try:
        import collections

        import torch
    except ImportError:
        return
    weights = collections.OrderedDict(w=torch.ones(8, 8), i=torch.arange(71), h=torch.ones(3, dtype=torch.bfloat16))
    for protocol in range(2, 6):
        for zipped in [True, False]:
            file = io.BytesIO()
            torch.save(weights, file, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
            yield f"torch{protocol}_{'zip' if zipped else 'old'}.pt", file.getvalue()


def corpus(folder, seeds):
    os.makedirs(folder, exist_ok=True)
    files = [(f"honest_{name}", body) for name, body in honest()]
    good = stream(b"}")
    for kind, evil in payloads():
        files += [(f"{kind}_{name}", body) for name, body in containers(evil, good)]
    rng = random.Random(seeds)
    whole = list(files)
    for number in range(seeds):
        name, body = rng.choice(whole)
        body = bytearray(body)
        for _ in range(rng.choice([1, 1, 2, 4])):
            at = rng.randrange(len(body))
            change = rng.randrange(4)
            if change == 0:
                body[at] = rng.randrange(256)
            elif change == 1:
                del body[at : at + rng.randrange(1, 9)]
            elif change == 2:
                body[at:at] = rng.choice([b".", b"N", b"\x80\x04", frame(rng.randrange(200)), b"PK\x05\x06", bytes([rng.randrange(256)])])
            else:
                body[at : at + 8] = body[:8]
            body = body or bytearray(b".")
        files.append((f"mutant{number:05}_{name}", bytes(body)))
    for number, (name, body) in enumerate(files):
        with open(os.path.join(folder, f"{number:06}_{name}"), "wb") as file:
            file.write(body)
    print(len(files))


def load_pickles(path):
    with open(path, "rb") as file:
        for _ in range(20):
            pickle.load(file)


def load_torch(weights_only):
    import torch

    return lambda path: torch.load(path, weights_only=weights_only, map_location="cpu")


def runs(load):
    """`ran`: the payload was run. Else whether it loaded."""

    def ask(path):
        if os.path.isdir(CANARY):
            os.rmdir(CANARY)
        try:
            load(path)
            answer = "loaded"
        except Exception as error:  # noqa: BLE001 any refusal is an answer
            answer = f"refused {type(error).__name__}"
        return "ran" if os.path.isdir(CANARY) else answer

    return ask


def ask_picklescan(path):
    from picklescan.scanner import SafetyLevel, scan_file_path

    found = scan_file_path(path)
    levels = {found.safety for found in found.globals}
    if SafetyLevel.Dangerous in levels:
        return "dangerous"
    return "suspicious" if SafetyLevel.Suspicious in levels else "error" if found.scan_err else "nothing"


def ask_fickling(path):
    from fickling.analysis import check_safety
    from fickling.fickle import StackedPickle

    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as opened:
            bodies = [opened.read(name) for name in opened.namelist() if name.lower().endswith(".pkl")]
    else:
        bodies = [data]
    worst = max((check_safety(part).severity for body in bodies for part in StackedPickle.load(io.BytesIO(body))), default=None)
    return "nothing" if worst is None else worst.name.lower()


REFEREES = {
    "cpython": lambda: runs(load_pickles),
    "torch_full": lambda: runs(load_torch(False)),
    "torch_weights_only": lambda: runs(load_torch(True)),
    "picklescan": lambda: ask_picklescan,
    "fickling": lambda: ask_fickling,
}


def main():
    if sys.argv[1] == "corpus":
        corpus(sys.argv[2], int(sys.argv[3]))
        return
    referee, folder, first = REFEREES[sys.argv[2]](), sys.argv[3], int(sys.argv[4])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = sys.stderr
    for number, name in enumerate(sorted(os.listdir(folder))):
        if number >= first:
            try:
                answer = referee(os.path.join(folder, name))
            except BaseException as error:  # noqa: BLE001 a referee that fails has no opinion
                answer = f"error {type(error).__name__}"
            answers.write(f"{number}\t{answer}\n")


main()
