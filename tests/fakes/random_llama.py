"""Writes a llama of random weights as GGUF: the worst model there is, to try a real llama.cpp server with.

    python tests/fakes/random_llama.py random.gguf      # needs `gguf`, in the server's environment

It answers with noise in whatever shape the grammar forces on it, so it shows what a report is worth beside a model that
understands nothing, without weights from anywhere.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH, INNER, HEADS, LAYERS, CONTEXT = 64, 160, 4, 2, 16384
SPECIAL, BYTES = ("<unk>", "<s>", "</s>"), tuple(f"<0x{value:02X}>" for value in range(256))


def write(path: str) -> None:
    """A vocabulary of bytes, ASCII and syllables; weights by a fixed seed."""
    letters = tuple(chr(code) for code in range(33, 127))
    syllables = tuple("".join(parts) for parts in itertools.product("\u2581bdfgklmnprst", "aeiou", "lmnrst "))
    words = dict.fromkeys(("\u2581", *letters, *(word.strip() for word in syllables)))
    tokens = (*SPECIAL, *BYTES, *words)
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, *[TokenType.BYTE] * 256]
    kinds += [TokenType.NORMAL] * len(words)
    out = GGUFWriter(path, "llama")
    out.add_name("random")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list(list(tokens))
    out.add_token_scores([float(len(word)) for word in tokens])
    out.add_token_types([int(kind) for kind in kinds])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    _weights(out, len(tokens))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def _weights(out: GGUFWriter, tokens: int) -> None:
    random = np.random.default_rng(4)  # of the first seeds the one that talks most
    shapes = {"token_embd": (tokens, WIDTH), "output": (tokens, WIDTH), "output_norm": (WIDTH,)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}_norm": (WIDTH,) for name in ("attn", "ffn")}
        shapes |= {f"blk.{layer}.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{name}": (INNER, WIDTH) for name in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down"] = (WIDTH, INNER)
    for name, shape in shapes.items():
        values = np.ones(shape) if len(shape) == 1 else random.normal(0, 0.3, shape)
        out.add_tensor(f"{name}.weight", values.astype(np.float32))


if __name__ == "__main__":
    write(sys.argv[1])
