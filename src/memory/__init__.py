"""Memory of large arrays that is reused: fresh memory from the system costs more than reading a file.

pool    memory of this process alone, for what files hold: bytes, images, flows. Its owner is the pool.
host    memory that this process shares with its readers, for batches; on a GPU it is page-locked. Who allocates it
        owns it.
slots   equal parts of such a memory, one for each batch that is under way.

An owner lends its memory as an ordinary array. Each view of that array holds the loan, and so does each tensor that
TensorFlow makes of it without a copy. When the last of them is gone, and not before, the memory is back in its owner's
list of what is free; nobody has to say so. The pool never gives memory back to the system. Memory for batches is given
back when its owner and the last batch are gone; but page-locked memory stays until the process ends.
"""
