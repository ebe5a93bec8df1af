"""Makes tokens_*.npz: token ids of 3,000 fuzzed and 500 tricky texts.

SmolLM2's are llama.cpp's, Gemma's those of sentencepiece with a model made of
the pieces, scores and types in the GGUF file. The texts come from a seed and
are not stored. Run it in an environment of its own:

  python3.11 -m venv /tmp/ref
  /tmp/ref/bin/pip install gguf==0.19.0 llama-cpp-python==0.3.36 \
      sentencepiece==0.2.2 protobuf
  /tmp/ref/bin/python tests/testdata/make_tokenizer_reference.py \
      smollm2-135m "$(python -m mulearn.lm fetch smollm2-135m)"
  /tmp/ref/bin/python tests/testdata/make_tokenizer_reference.py \
      gemma3-270m "$(python -m mulearn.lm fetch gemma3-270m)"
"""

from collections.abc import Callable
import pathlib
import random
import sys
from typing import Any

DIRECTORY = pathlib.Path(__file__).parent
NUM_FUZZED = 3000
NUM_TRICKY = 500

_WORDS = (
    "the of sock washing machine take put go north Kitchen I'll they've don't"
    " HELLO iPhone naïve Straße über façade coöperate Ελληνικά русский العربية"
    " עברית हिन्दी ไทย 日本語 ニャーニャー 中文字符 한국어 ﬁne ½ ² Ⅷ ＡＢＣ"
    " def return lambda x: y== != -> // /* */ #! http://a.b/c?d=e&f#g a@b.co"
).split()
_PIECES = [
    *"abcdefghijklmnopqrstuvwxyzABCDEFXYZ0123456789",
    *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    *["\n", "\n\n", "\r\n", "\t", "\t\t", "\r", "\v", "\f", "\x00", "\x1b"],
    *[" ", "  ", "   ", "    ", " " * 7, " " * 17, " " * 40, "\n" * 9],
    *["\x7f", "\x85", "\xa0", "\xad", "\u2028", "\u3000", "\ufeff", "\u200b"],
    *["\u0301", "\u0308", "e\u0301", "\u202e", "\u200d", "\ufe0f", "\ufffd"],
    *[
        "👩‍🚀",
        "🚀",
        "👍🏽",
        "🇯🇵",
        "❤️",
        "😀😀😀",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "𝔘𝔫𝔦",
        "𐍈",
        "𠮷野家",
    ],
    *[
        "▁",
        "▁▁",
        "Ġ",
        "Ċ",
        "<0x0A>",
        "<unk>",
        "<pad>",
        "<mask>",
        "[multimodal]",
    ],
    *["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<bos>", "<eos>"],
    *["<start_of_turn>", "<unused3>", "<b>", "</b>", "<table>", "<td>", "<h1>"],
    *[
        "'s",
        "'S",
        "'re",
        "'LL",
        "’s",
        "1e-5",
        "0x1F",
        "3.14159",
        "١٢٣",
        "１２３",
    ],
]
# Characters of any kind, all of them old: a new one (U+13DB9) is a letter to one
# library and nothing to another.
_BLOCKS = [
    *[(0x01, 0x1F), (0x20, 0x7E), (0x80, 0x9F), (0xA0, 0x24F), (0x300, 0x36F)],
    *[(0x391, 0x3A1), (0x400, 0x52F), (0x5D0, 0x5EA), (0x621, 0x64A)],
    *[(0x905, 0x939), (0xE01, 0xE3A), (0x10A0, 0x10C5), (0x2010, 0x2027)],
    *[(0x2150, 0x215F), (0x2200, 0x22FF), (0x2500, 0x257F), (0x3041, 0x3096)],
    *[(0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xE000, 0xF8FF)],
    *[(0xFE00, 0xFE0F), (0xFF01, 0xFF5E), (0x1D400, 0x1D454)],
    *[(0x1F600, 0x1F64F), (0x20000, 0x2A6D6), (0xF0000, 0xFFFFD)],
]
# Before it are single letters, digits and signs.
_FIRST_TRICKY = _PIECES.index("\n")
_FRAMES = [
    "{}",
    " {}",
    "{} ",
    "{0}{0}",
    "{0} {0}",
    "a{}b",
    "7{}7",
    "\n{}\n",
    "({})",
    "  {0}  {0}{0}",
]
_TRICKY = [
    "",
    "x" * 300,
    "ab" * 150,
    "0" * 100,
    " " * 100,
    "\n" * 70,
    "\t" * 50,
    "…—–“”‘’«»",
    "".join(map(chr, range(1, 128))),
    "".join(map(chr, range(128, 320))),
    "ÀÁÂÃÄÅ" * 5,
    "ﷺ ﷽ ㍿ ㎏",
    "\u0e33\u0e4d \u0915\u094d\u0937",
    "Z̸̢̛a̷͎͝l̴g̵o",
    "🤷🏾‍♀️ 👨‍👩‍👧‍👦",
]


def texts() -> list[str]:
  """Returns the texts, the fuzzed ones first."""
  rng = random.Random(0)
  fuzzed = []
  while len(fuzzed) < NUM_FUZZED:
    parts = []
    for _ in range(rng.randint(2, 14)):
      kind = rng.random()
      if kind < 0.4:
        parts.append(rng.choice(["", " "]) + rng.choice(_WORDS))
      elif kind < 0.85:
        parts.append(rng.choice(_PIECES))
      else:
        parts.append(_any_character(rng))
    fuzzed.append("".join(parts))
  tricky = list(_TRICKY)
  for frame in _FRAMES:
    tricky += [frame.format(piece) for piece in _PIECES[_FIRST_TRICKY:]]
  return fuzzed + tricky[:NUM_TRICKY]


def _any_character(rng: random.Random) -> str:
  return chr(rng.randint(*rng.choice(_BLOCKS)))


def llama_cpp(weights: pathlib.Path) -> Callable[[str], list[int]]:
  import llama_cpp

  model = llama_cpp.Llama(str(weights), vocab_only=True, verbose=False)
  return lambda text: model.tokenize(
      text.encode(), add_bos=False, special=False
  )


def sentence_piece(weights: pathlib.Path) -> Callable[[str], list[int]]:
  import gguf
  import sentencepiece
  from sentencepiece import sentencepiece_model_pb2

  fields = gguf.GGUFReader(weights).fields
  proto = sentencepiece_model_pb2.ModelProto()

  def read(name: str) -> Any:
    return fields[f"tokenizer.ggml.{name}"].contents()

  unknown = read("unknown_token_id")
  for i, (text, score, kind) in enumerate(
      zip(read("tokens"), read("scores"), read("token_type"))
  ):
    # llama.cpp's converter wrote user-defined pieces with plain spaces, and
    # the unknown piece as a control token.
    text = text.replace(" ", "▁") if kind == 4 else text
    kind = 2 if i == unknown else kind
    proto.pieces.add(piece=text, score=score, type=kind)
  proto.trainer_spec.model_type = 2  # BPE.
  proto.trainer_spec.byte_fallback = True
  proto.trainer_spec.unk_id = unknown
  proto.trainer_spec.bos_id = read("bos_token_id")
  proto.trainer_spec.eos_id = read("eos_token_id")
  proto.trainer_spec.pad_id = read("padding_token_id")
  proto.normalizer_spec.name = "identity"
  proto.normalizer_spec.add_dummy_prefix = read("add_space_prefix")
  proto.normalizer_spec.remove_extra_whitespaces = False
  proto.normalizer_spec.escape_whitespaces = True
  processor = sentencepiece.SentencePieceProcessor()
  processor.LoadFromSerializedProto(proto.SerializeToString())
  return processor.encode


def main(name: str, weights: pathlib.Path) -> None:
  """Writes the ids one after the other, and how many each text has."""
  import numpy as np

  make = {"smollm2-135m": llama_cpp, "gemma3-270m": sentence_piece}[name]
  encode = make(weights)
  rows = [encode(text) for text in texts()]
  ids = np.concatenate([np.array(row, np.int64) for row in rows])
  np.savez_compressed(
      DIRECTORY / f"tokens_{name}.npz",
      ids=ids.astype(np.uint16 if ids.max() < 1 << 16 else np.uint32),
      lengths=np.array([len(row) for row in rows], np.uint16),
  )


if __name__ == "__main__":
  main(sys.argv[1], pathlib.Path(sys.argv[2]))
