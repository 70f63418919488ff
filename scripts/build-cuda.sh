#!/usr/bin/env bash
# Builds `striae` with training on NVIDIA GPUs: target/cuda/release/striae. Arguments are passed to `cargo`, in place of
# `build --release`.
#
# Where `nvcc` is installed, its toolkit is used. Elsewhere the toolkit comes as Python wheels into target/cuda/toolkit, and
# the driver's library, which only machines with a GPU have, is replaced by stubs while linking: the program then builds
# without a GPU and runs on one, with the CUDA 13 libraries installed there. The kernels of candle take ten minutes on two
# cores. Without a GPU to ask, they are compiled for compute capability 9.0; set CUDA_COMPUTE_CAP for another (86 for 8.6).
#
# What was tried: the bindings and our own code are checked by the compiler with this feature on a machine without a GPU. The
# kernels, the link and a run on a GPU are yet to be tried.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then set -- build --release; fi
cargo fetch --locked
export CARGO_TARGET_DIR="$PWD/target/cuda"
if ! command -v nvidia-smi >/dev/null; then export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"; fi

if ! command -v nvcc >/dev/null; then
  toolkit="$PWD/target/cuda/toolkit"
  if [ ! -e "$toolkit/complete" ]; then
    python3 -m venv "$toolkit/wheels"
    "$toolkit/wheels/bin/pip" install --quiet nvidia-cuda-{nvcc,crt,runtime,nvrtc,cccl}==13.0.* nvidia-{nvvm,cublas}==13.0.* nvidia-curand==10.4.0.*
    files=$(echo "$toolkit"/wheels/lib/python3*/site-packages/nvidia/cu13)
    ln -sfn "$files/bin" "$files/include" "$files/nvvm" "$toolkit/"
    # Libraries without the version in their name, which the linker looks for.
    mkdir -p "$toolkit/lib"
    for library in "$files"/lib/*.so.* "$files"/lib/*.a; do
      ln -sf "$library" "$toolkit/lib/"
      ln -sf "$library" "$toolkit/lib/$(basename "${library%.so.*}")$([[ $library == *.a ]] || echo .so)"
    done
    ln -sfn lib "$toolkit/lib64"
    # An empty function for every one of the driver's that the bindings declare.
    bindings=$(ls "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/cudarc-*/src/driver/sys/mod.rs | tail -n 1)
    grep -oE '\bcu[A-Z][A-Za-z0-9_]*' "$bindings" | sort -u | sed 's/.*/void &(void) {}/' >"$toolkit/driver.c"
    cc -shared -fPIC -w -Wl,-soname,libcuda.so.1 -o "$toolkit/lib/libcuda.so" "$toolkit/driver.c"
    touch "$toolkit/complete"
  fi
  export CUDA_HOME="$toolkit" PATH="$toolkit/bin:$PATH" LIBRARY_PATH="$toolkit/lib"
  # The wheels' libraries need one another.
  export RUSTFLAGS="${RUSTFLAGS:-} -L native=$toolkit/lib -C link-arg=-Wl,-rpath-link,$toolkit/lib"
fi
cargo "$@" --locked -p striae-search --features cuda
