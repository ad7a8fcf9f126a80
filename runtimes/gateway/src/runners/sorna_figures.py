"""The backend of matplotlib in a kernel: it draws figures in memory, and shows them by sending them."""

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

import sorna_kernel


class FigureManager(FigureManagerBase):
    def show(self):
        """`figure.show()`: sends the figure, which stays open."""
        sorna_kernel._send_figure(self.canvas.figure)


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager


def show(*_, block=None, **__):
    """`plt.show()`: sends each open figure and closes it; with `block=False` they stay open."""
    for manager in Gcf.get_all_fig_managers():
        try:
            sorna_kernel._send_figure(manager.canvas.figure)
        finally:
            if block is not False:
                Gcf.destroy(manager)
