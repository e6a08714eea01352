# Flags that change arithmetic are refused wherever a macro tells of them, with a reason; what none
# tells of compiles, as base/begin.h takes it back.
# cmake -DCC=<compiler> -DID=<CMAKE_C_COMPILER_ID> -DX86=<bool> -DSRC=<libqsgd/src> -P check_flags.cmake
set(refused -ffast-math -Ofast -ffinite-math-only "-O2 -ffast-math")
set(taken -O2 -fno-math-errno -fno-trapping-math)
set(unsafe -funsafe-math-optimizations -freciprocal-math -fno-signed-zeros
  "-fassociative-math -fno-signed-zeros -fno-trapping-math")
if(ID STREQUAL "GNU")
  list(APPEND refused ${unsafe} -fsingle-precision-constant)
  list(APPEND taken -ffp-contract=fast "-ffast-math -fno-fast-math")
else()
  list(APPEND taken ${unsafe})
endif()
if(X86)
  list(APPEND refused "-m32 -march=i686 -mno-sse")
  list(APPEND taken "-m32 -msse2 -mfpmath=sse" "-mfma -mavx512f")
endif()

function(compile flags)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  execute_process(COMMAND ${CC} -Wall -Werror ${flags} -I${SRC} -fsyntax-only -x c ${SRC}/base/begin.h
    RESULT_VARIABLE failed ERROR_VARIABLE said OUTPUT_QUIET)
  set(failed ${failed} PARENT_SCOPE)
  set(said "${said}" PARENT_SCOPE)
endfunction()

foreach(flags IN LISTS refused)
  compile("${flags}")
  if(failed EQUAL 0 OR NOT said MATCHES "error.*qsgd: ")
    message(SEND_ERROR "${flags} is not refused with a reason:\n${said}")
  endif()
endforeach()
foreach(flags IN LISTS taken)
  compile("${flags}")
  if(NOT failed EQUAL 0)
    message(SEND_ERROR "${flags} is refused:\n${said}")
  endif()
endforeach()
