"""What TensorBoard shows: graphs of traced functions and their times, numbers, texts, histograms and images.

    writer = ex.summary.create_file_writer("logs/run")
    with writer.as_default():
        ex.summary.trace_on(graph=True)
        model(x)
        ex.summary.trace_export("model", step=0)
        ex.summary.scalar("loss", 0.5, step=0)

Writing needs the `tensorboard` package (`pip install 'edge-rt[tensorboard]'`), never TensorFlow.
"""

from exporter.summary.data import histogram, image, scalar, text
from exporter.summary.tracing import trace_export, trace_off, trace_on
from exporter.summary.writer import FileWriter, create_file_writer, flush

__all__ = [
    "FileWriter", "create_file_writer", "flush", "histogram", "image", "scalar", "text",
    "trace_export", "trace_off", "trace_on",
]  # fmt: skip
