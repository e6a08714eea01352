# The library in one file: the same text each time, no path of this machine, nothing global but
# qsgd_*, and by a plain compiler the frames of tests/golden/vectors.txt.
# cmake -DPYTHON=<python3> -DCC=<compiler> -DNM=<nm> -DROOT=<repository> -DOUT=<folder>
#   [-DFLAGS=<flags>] [-DRUN=<emulator>] -P check_amalgamation.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said
    WORKING_DIRECTORY ${OUT})
  if(NOT failed EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${command}:\n${said}")
  endif()
  set(said "${said}" PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${OUT})
separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")
run(${PYTHON} ${ROOT}/tools/amalgamate.py ${OUT})
run(${PYTHON} ${ROOT}/tools/amalgamate.py ${OUT}/again)
foreach(name qsgd.c qsgd.h)
  run(${CMAKE_COMMAND} -E compare_files ${name} again/${name})
  file(READ ${OUT}/${name} text)
  string(FIND "${text}" "${ROOT}" found)
  if(NOT found EQUAL -1 OR NOT text MATCHES "^/\\* SPDX-License-Identifier: [^\n]*\n/\\* libqsgd [0-9.]+: ")
    message(FATAL_ERROR "${name}: names a folder of this machine, or starts otherwise")
  endif()
endforeach()

run(${CC} -O2 ${FLAGS} -c qsgd.c -o qsgd.o)
run(${NM} -g --defined-only qsgd.o)
string(REGEX MATCHALL "[^\n]+" lines "${said}")
list(LENGTH lines count)
list(FILTER lines EXCLUDE REGEX " qsgd_")
if(NOT lines STREQUAL "" OR count LESS 40)
  message(FATAL_ERROR "global: ${lines}")
endif()

# The tests know the public headers by their names.
foreach(name qsgd_stages.h qsgd_fit.h)
  file(WRITE ${OUT}/${name} "#include \"qsgd.h\"\n")
endforeach()
set(tests ${ROOT}/tests/c)
run(${CC} -O2 ${FLAGS} -I${OUT} -I${ROOT}/libqsgd/src -I${tests} ${tests}/test_vectors.c
  ${tests}/checksum_alone.c qsgd.o -o vectors)
run(${RUN} ./vectors ${ROOT}/tests/golden/vectors.txt)
