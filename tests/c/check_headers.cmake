# The public headers compile without a warning as every standard of C and C++ since C99 and C++11,
# each alone, each before the others.
# cmake -DCC=<compiler> -DCXX=<compiler or empty> -DINCLUDE=<dir> -DUSE=<use_headers.h> -P check_headers.cmake
cmake_minimum_required(VERSION 3.21)
set(warnings -pedantic -Wall -Wextra -Wconversion -Wshadow -Wundef -Werror)
set(headers qsgd.h qsgd_stages.h qsgd_fit.h)
set(c c99 c11 c17)
set(c++ c++11 c++14 c++17 c++20)

function(compile compiler language standard header)
  set(flags ${warnings} -std=${standard} -I${INCLUDE} "-DFIRST=\"${header}\"")
  if(language STREQUAL "c")
    list(APPEND flags -Wstrict-prototypes -Wmissing-prototypes)
  endif()
  foreach(more -DALONE -DALONE\;-DQSGD_STATIC -DTOGETHER -DTOGETHER\;-DQSGD_STATIC)
    execute_process(COMMAND ${compiler} ${flags} ${more} -fsyntax-only -x ${language} ${USE}
      RESULT_VARIABLE failed ERROR_VARIABLE said OUTPUT_QUIET)
    if(NOT failed EQUAL 0)
      message(SEND_ERROR "${header} as ${standard} (${more}):\n${said}")
    endif()
  endforeach()
endfunction()

foreach(header IN LISTS headers)
  foreach(standard IN LISTS c)
    compile("${CC}" c ${standard} ${header})
  endforeach()
  if(CXX)
    foreach(standard IN LISTS c++)
      compile("${CXX}" c++ ${standard} ${header})
    endforeach()
  endif()
endforeach()
