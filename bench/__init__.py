"""Speed, side by side with other runtimes: python -m bench --help.

Times of one machine at one moment mean little, so backends take turns in one process and reports quote ratios.
"""
