# The modules of layers.txt as libraries that can only see what they were granted.

file(STRINGS layers.txt layer_lines REGEX "^[a-z]+:")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS layers.txt tools/packages.txt)

# layers_names(<out>): every module of layers.txt, bottom first.
function(layers_names out)
  list(TRANSFORM layer_lines REPLACE ":.*" "" OUTPUT_VARIABLE names)
  set(${out} ${names} PARENT_SCOPE)
endfunction()

# layers_granted(<module> <out>): the modules that it may include, without itself.
function(layers_granted module out)
  set(granted)
  foreach(line IN LISTS layer_lines)
    if(line MATCHES "^${module}:([^#]*)")
      separate_arguments(granted UNIX_COMMAND "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  set(${out} ${granted} PARENT_SCOPE)
endfunction()

# library_require(<pkg-config name>): makes PkgConfig::<name>, or says what to install.
function(library_require name)
  if(TARGET PkgConfig::${name})
    return()
  endif()
  pkg_check_modules(${name} QUIET IMPORTED_TARGET GLOBAL ${name})
  if(NOT ${name}_FOUND)
    file(STRINGS tools/packages.txt lines REGEX "[| ]${name} .*\\|")
    string(REGEX REPLACE " .*" "" package "${lines}")
    message(FATAL_ERROR "The library ${name} is missing. "
                        "Install the Debian package '${package}', or let ./dev deps do it.")
  endif()
endfunction()

# module(<name> SOURCES <file>... LIBRARIES <pkg-config name>...): a static library
# with its own include root, made of links to itself and to the modules it was
# granted, so an include that breaks the layering does not compile.
function(module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  layers_granted(${name} granted)
  if(arg_SOURCES)
    set(own PRIVATE)
    set(passed_on PUBLIC)
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_BINARY_DIR}/layers/${name})
  else()
    set(own INTERFACE)
    set(passed_on INTERFACE)
    add_library(${name} INTERFACE)
  endif()

  set(root ${CMAKE_BINARY_DIR}/layers/${name})
  file(REMOVE_RECURSE ${root})
  file(MAKE_DIRECTORY ${root})
  foreach(seen IN LISTS granted ITEMS ${name})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${seen} ${root}/${seen} SYMBOLIC)
  endforeach()

  foreach(used IN LISTS granted)
    if(TARGET ${used})
      target_link_libraries(${name} ${passed_on} ${used})
    endif()
  endforeach()
  foreach(library IN LISTS arg_LIBRARIES)
    library_require(${library})
    target_link_libraries(${name} ${own} PkgConfig::${library})
  endforeach()
endfunction()
