"""Special tokens: the place of a medium, the beginning and end of a text, padding, unknown words."""

PAD, BOS, IMAGE, EOC, UNKNOWN = "<pad>", "<bos>", "<image>", "<EOC>", "<unk>"
