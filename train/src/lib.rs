//! Data sets and HE-aware training of Striae networks with candle.
