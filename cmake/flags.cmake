# What every target of ours is compiled with.
add_library(lapidary_flags INTERFACE)
target_include_directories(lapidary_flags INTERFACE ${PROJECT_SOURCE_DIR})
# nvcc passes these on for what it generates, which is not written to please them.
set(flags_of_host_code
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
  # gcc 12 sees overlaps in "literal" + std::string that are not there.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  -fno-math-errno -ffp-contract=off $<$<BOOL:${LAPIDARY_WERROR}>:-Werror>)
target_compile_options(lapidary_flags INTERFACE
                       "$<$<COMPILE_LANGUAGE:CXX>:${flags_of_host_code}>")
target_link_libraries(lapidary_flags INTERFACE Threads::Threads)
if(LAPIDARY_SANITIZE)
  target_compile_options(lapidary_flags INTERFACE -fsanitize=${LAPIDARY_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(lapidary_flags INTERFACE -fsanitize=${LAPIDARY_SANITIZE})
endif()
if(LAPIDARY_FUZZ)
  target_compile_options(lapidary_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
