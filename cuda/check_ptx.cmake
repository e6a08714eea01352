# Checks the PTX of check_bodies.cu: floats are multiplied and added, each operation is rounded to
# nearest (.rn, which ptxas may not fuse), and none flushes subnormals or estimates.
# cmake -DPTX=<file> -P check_ptx.cmake
file(STRINGS ${PTX} operations REGEX "[ \t](fma|mad|mul|add|sub|div|rcp|sqrt)[.a-z0-9]*[.]f(32|64)")
set(rounded 0)
foreach(line IN LISTS operations)
  if(line MATCHES "[ \t](mul|add|sub)[.]rn[.]f(32|64)[ \t]")
    math(EXPR rounded "${rounded} + 1")
  else()
    message(SEND_ERROR "not exactly rounded: ${line}")
  endif()
endforeach()
if(rounded LESS 100)
  message(SEND_ERROR "only ${rounded} operations on floats: are the bodies compiled?")
endif()
