"""What TensorFlow says when the memory of a device does not do, as a line for the user."""
import typing

AUTOTUNER = 'Autotuner could not find any supported configs'  # XLA, when no algorithm gets the memory for its trial


def as_line(error: BaseException) -> typing.Optional[str]:
    """The line for an exception of TensorFlow's that tells of too little memory; None for any other exception."""
    if AUTOTUNER in str(error):
        return ('--xla True: too little of the GPU is free for XLA to try algorithms in; let no other '
                'process use it until it has compiled (nvidia-smi shows them), or do without --xla')
    if type(error).__name__ == 'ResourceExhaustedError':  # of whichever TensorFlow: this module need not import it
        return ('out of memory (%s); a smaller --batch_size or smaller images take less, on a GPU --precision amp too'
                % str(error).split('\n')[0])
    return None
