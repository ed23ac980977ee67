# What every build of the CUDA backend is made of; relative to this folder.
set(cuda_sources
  attention.cu
  ceilings.cpp
  cuda_backend.cpp
  device_memory.cpp
  kernel_paths.cpp
  linear.cu
  media.cu
  moe_ffn.cu
  moe_route.cu
  norm.cu
  pack.cpp
  qkv.cu
  recordings.cpp
  rows.cu
  sample.cu
  sample_long.cu
  sample_select.cu
  staging.cpp
  start.cpp
  tensor_map.cpp
  workspace.cpp
)

# What is written for Hopper's own instructions, compiled for sm_90a alone.
set(hopper_sources
  hopper.cpp
  hopper_grouped_gemm.cu
  hopper_attention.cu
)
