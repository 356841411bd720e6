"""The compiled part of the engine: one small function an aggregate, the row evaluator that interprets a plan, and slabs that grow.

Everything works on plain addresses and the int64 words of `layout`: no allocation, no exceptions, no Python objects, so that the
machine code stands alone and can be kept on disk (see `native`). Only a first start, or a change here, imports these modules.

A window of one row is a slice [low, high) of its store plus, when the frame has it, the current row itself. Rows are walked
newest first: the current row, then high - 1 down to low; the order matters where floating-point values are added up.
"""
