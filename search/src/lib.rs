//! Search, evaluation and the striae command line.
