"""From trained models to .edge bundles, on the development machine.

    import exporter
    print(exporter.export("net.onnx", "net.edge", verify=True))
"""

from exporter.export import check, export
from exporter.report import Report

__all__ = ["Report", "check", "export"]
