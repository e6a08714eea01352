# find_package(qsgd [COMPONENTS shared|static]): targets qsgd::shared and qsgd::static, as far as they
# are installed, and qsgd::qsgd for the component that was asked for; else for the kind that
# BUILD_SHARED_LIBS says; else for the shared one, if there is one.
set(_qsgd_found)
foreach(_qsgd_kind shared static)
  if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/qsgd-${_qsgd_kind}.cmake")
    include("${CMAKE_CURRENT_LIST_DIR}/qsgd-${_qsgd_kind}.cmake")
    list(APPEND _qsgd_found ${_qsgd_kind})
    set(${CMAKE_FIND_PACKAGE_NAME}_${_qsgd_kind}_FOUND TRUE)
  endif()
endforeach()

foreach(_qsgd_kind IN LISTS ${CMAKE_FIND_PACKAGE_NAME}_FIND_COMPONENTS)
  if(NOT ${CMAKE_FIND_PACKAGE_NAME}_${_qsgd_kind}_FOUND
     AND ${CMAKE_FIND_PACKAGE_NAME}_FIND_REQUIRED_${_qsgd_kind})
    set(${CMAKE_FIND_PACKAGE_NAME}_FOUND FALSE)
    set(${CMAKE_FIND_PACKAGE_NAME}_NOT_FOUND_MESSAGE
      "qsgd has no component ${_qsgd_kind} here; it has: ${_qsgd_found}")
  endif()
endforeach()

if(NOT TARGET qsgd::qsgd)
  set(_qsgd_kind "${${CMAKE_FIND_PACKAGE_NAME}_FIND_COMPONENTS}")
  if(NOT _qsgd_kind MATCHES "^(shared|static)$") # none, or both
    set(_qsgd_kind shared)
    if(DEFINED BUILD_SHARED_LIBS AND NOT BUILD_SHARED_LIBS)
      set(_qsgd_kind static)
    endif()
    if(NOT TARGET qsgd::${_qsgd_kind})
      set(_qsgd_kind ${_qsgd_found})
    endif()
  endif()
  if(TARGET qsgd::${_qsgd_kind})
    add_library(qsgd::qsgd ALIAS qsgd::${_qsgd_kind})
  endif()
endif()
unset(_qsgd_kind)
unset(_qsgd_found)
