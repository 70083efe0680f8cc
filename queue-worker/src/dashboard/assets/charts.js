// Charts over time, drawn by uPlot from the data beside them.
