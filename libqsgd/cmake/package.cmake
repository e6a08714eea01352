# What is installed: libraries, headers, a CMake package, a pkg-config file, licence and format.
# Prefixes may be moved after installation unless a directory below is absolute.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/qsgd)
foreach(kind shared static)
  string(TOUPPER QSGD_${kind}_LIB wanted)
  if(${wanted})
    # A set each, so that a packager may leave one out.
    install(TARGETS qsgd_${kind} EXPORT qsgd-${kind}
      RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT qsgd_runtime
      LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT qsgd_runtime
        NAMELINK_COMPONENT qsgd_development
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT qsgd_development
      INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(EXPORT qsgd-${kind} NAMESPACE qsgd:: DESTINATION ${package}
      COMPONENT qsgd_development)
    # The build tree is a package as well: -Dqsgd_DIR=<build>/libqsgd.
    export(EXPORT qsgd-${kind} NAMESPACE qsgd:: FILE ${CMAKE_CURRENT_BINARY_DIR}/qsgd-${kind}.cmake)
  endif()
endforeach()
install(FILES ${public_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT qsgd_development)

# As the SONAME: until 1.0, 0.1 does not stand in for 0.0.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
else()
  set(compatibility SameMajorVersion)
endif()
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/qsgdConfigVersion.cmake
  COMPATIBILITY ${compatibility})
configure_file(cmake/qsgdConfig.cmake qsgdConfig.cmake COPYONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/qsgdConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/qsgdConfigVersion.cmake
  DESTINATION ${package} COMPONENT qsgd_development)

# pkg-config. Without absolute directories the prefix is where the file lies, wherever that is.
foreach(directory libdir includedir)
  string(TOUPPER CMAKE_INSTALL_${directory} installed)
  if(IS_ABSOLUTE "${${installed}}")
    set(${directory} "${${installed}}")
  else()
    set(${directory} "\${prefix}/${${installed}}")
  endif()
endforeach()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(prefix "${CMAKE_INSTALL_PREFIX}")
else()
  string(REGEX REPLACE "[^/]+" ".." up "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  set(prefix "\${pcfiledir}/${up}")
endif()
string(TOUPPER CMAKE_${CMAKE_BUILD_TYPE}_POSTFIX postfix)
set(library_name qsgd${${postfix}})
set(libs_private)
if(NOT QSGD_LINKS_WITHOUT_LIBM)
  set(libs_private " -lm")
endif()
set(cflags)
if(NOT QSGD_SHARED_LIB) # those who do not say --static get the static library, too
  set(cflags " -DQSGD_STATIC")
endif()
configure_file(cmake/libqsgd.pc.in libqsgd.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libqsgd.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT qsgd_development)

# A parent's CMAKE_INSTALL_DOCDIR is named after the parent, which has a LICENSE of its own.
if(PROJECT_IS_TOP_LEVEL)
  set(documents ${CMAKE_INSTALL_DOCDIR})
else()
  set(documents ${CMAKE_INSTALL_DATAROOTDIR}/doc/qsgd)
endif()
install(FILES FORMAT.md ENCODER.md STATISTICS.md ${PROJECT_SOURCE_DIR}/LICENSE
  DESTINATION ${documents} COMPONENT qsgd_runtime)
