# The families of tests of the CUDA backend and their files, relative to tests/cuda.
set(cuda_test_families backend rows linear moe attention sample ptx)
set(cuda_backend_sources backend_test.cpp overlap_test.cpp)
set(cuda_rows_sources rows_test.cpp media_verbs_test.cpp norm_test.cpp)
set(cuda_linear_sources linear_test.cpp)
set(cuda_moe_sources moe_test.cpp)
set(cuda_attention_sources attention_test.cpp qkv_test.cpp)
set(cuda_sample_sources sample_test.cpp)
set(cuda_ptx_sources ptx_test.cu fp8_test.cu)

# Of what is compiled for sm_90a alone.
set(hopper_test_families hopper)
set(cuda_hopper_sources hopper_attention_test.cpp ptx_hopper_test.cu)
