"""Gathers the patches of a convolution into rows of a matrix, a block at a time, so that GEMM tiles can run over them.

Geometry (int64): h, w, c, kernel h and w, strides h and w, top and left pad, dilations h and w, output h and w,
channels of a group, pixels of a run. A run is what lies together in x: one pixel's channels, or (without dilation and
groups) a whole kernel row. Padding becomes zeros.
"""

from __future__ import annotations

from edge_rt.kernels.memory import copier, filler


def row_gatherer(lanes):
    """gather(x, readable, geometry, out, out_row, first, last, k_first, k_last).

    x: f32[n, h, w, c] from the group's first channel on, of which `readable` numbers may be read. Writes the numbers
    k_first..k_last of the patches of output pixels first..last to out, out_row apart (and up to 15 numbers behind).
    """
    copy, fill = copier(lanes), filler(lanes)

    def gather(x, readable, geometry, out, out_row, first, last, k_first, k_last):
        h, w, c = geometry[0], geometry[1], geometry[2]
        kernel_w, stride_h, stride_w = geometry[4], geometry[5], geometry[6]
        pad_top, pad_left, dilation_h, dilation_w = geometry[7], geometry[8], geometry[9], geometry[10]
        out_h, out_w, channels, run_pixels = geometry[11], geometry[12], geometry[13], geometry[14]
        run = run_pixels * channels
        runs_in_row = kernel_w // run_pixels
        first_run = k_first // run
        for i in range(first, last):
            pixel_row = i // out_w
            image = pixel_row // out_h
            y_origin = (pixel_row - image * out_h) * stride_h - pad_top
            x_origin = (i - pixel_row * out_w) * stride_w - pad_left
            row = out + ((i - first) * out_row - k_first)
            at, r = k_first, first_run
            while at < k_last:
                tap_row = r // runs_in_row
                y = y_origin + tap_row * dilation_h
                left = x_origin + (r - tap_row * runs_in_row) * dilation_w
                start = r * run
                end = min(start + run, k_last)
                begin, stop = end, end
                if y >= 0 and y < h:
                    begin = min(end, max(at, start + max(0, -left) * channels))
                    stop = max(begin, min(end, start + (w - left) * channels))
                fill(row + at, 0.0, begin - at)
                if begin < stop:
                    source = ((image * h + y) * w + left) * c + (begin - start)
                    copy(row + begin, x + source, stop - begin, readable - source)
                fill(row + stop, 0.0, end - stop)
                at = end
                r += 1

    return gather
