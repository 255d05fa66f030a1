"""Tokens that no text is spelled with: where a medium stands, where a text begins and ends, padding."""

PAD, BOS, IMAGE, EOC, UNKNOWN = "<pad>", "<bos>", "<image>", "<EOC>", "<unk>"
