//! Tables, plots and HTML pages from plain values.
