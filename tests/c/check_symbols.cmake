# Checks what the shared library shows and needs: it exports qsgd_* alone, and asks nothing of the
# system but what compilers call by themselves: memory and string functions, and on aarch64
# __getauxval, by which libgcc chooses its atomics.
# cmake -DNM=<nm> -DLIBRARY=<libqsgd.so> -P check_symbols.cmake
execute_process(COMMAND ${NM} -D --defined-only ${LIBRARY}
  OUTPUT_VARIABLE defined RESULT_VARIABLE failed)
if(failed OR defined STREQUAL "")
  message(FATAL_ERROR "cannot list the symbols of ${LIBRARY}")
endif()
string(REGEX MATCHALL "[^\n]+" defined "${defined}")
set(exports 0)
foreach(line IN LISTS defined)
  string(REGEX REPLACE "^[^ ]* [A-Za-z] " "" name "${line}")
  string(REGEX REPLACE "@.*$" "" name "${name}")
  if(name MATCHES "^qsgd_")
    math(EXPR exports "${exports} + 1")
  elseif(NOT name MATCHES "^QSGD_[0-9]+$") # the version node
    message(SEND_ERROR "exported: ${name}")
  endif()
endforeach()
file(READ ${HEADER} header)
string(REGEX MATCHALL "QSGD_API [^;(]*[ *]qsgd_[a-z_]+\\(" declared "${header}")
list(LENGTH declared declarations)
if(NOT exports EQUAL declarations)
  message(SEND_ERROR "${exports} functions are exported, qsgd.h declares ${declarations}")
endif()

execute_process(COMMAND ${NM} -D --undefined-only ${LIBRARY} OUTPUT_VARIABLE undefined)
string(REGEX MATCHALL "[^\n]+" undefined "${undefined}")
foreach(line IN LISTS undefined)
  string(REGEX REPLACE "^ *[A-Za-z] " "" name "${line}")
  string(REGEX REPLACE "@.*$" "" name "${name}")
  if(NOT name MATCHES "^(mem(cpy|move|set|cmp)|bcmp|strcmp|__getauxval|__(mem(cpy|move|set)_chk|stack_chk_(fail|guard))|__cxa_finalize|__gmon_start__|_ITM_(de)?registerTMCloneTable)$")
    message(SEND_ERROR "needs ${name}")
  endif()
endforeach()
