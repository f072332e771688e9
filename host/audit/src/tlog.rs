//! The transparency log (C2SP tlog-tiles, checkpoints, proofs) without any IO.
