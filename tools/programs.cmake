# What is made from the modules: programs, tests, fuzzers, benchmarks. A file in
# the right folder with the right name is enough; nothing here lists files.

function(program source)
  get_filename_component(stem ${source} NAME)
  string(REGEX REPLACE "_main\\.c$" "" stem ${stem})
  get_filename_component(module ${source} DIRECTORY)
  set(into libexec/touchmark)
  set(name touchmark-${stem})
  if(stem STREQUAL "touchmarkd")
    set(into ${CMAKE_INSTALL_SBINDIR})
    set(name touchmarkd)
  elseif(stem STREQUAL "touchmark")
    set(into ${CMAKE_INSTALL_BINDIR})
    set(name touchmark)
  elseif(stem STREQUAL "witness")
    set(into ${CMAKE_INSTALL_BINDIR})
  endif()
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE ${CMAKE_BINARY_DIR}/layers/${module})
  target_link_libraries(${name} PRIVATE ${module})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  install(TARGETS ${name} DESTINATION ${into})
  add_dependencies(programs ${name})
endfunction()

# Tests, fuzzers and benchmarks stand outside the layers: they see the whole tree.
function(outsider name source)
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARGN})
endfunction()

# A comment on a line of its own says what a test needs beyond its module:
#   /* threaded */              also run under ThreadSanitizer
#   /* release */               run only as shipped: sanitizers would be in the way (jails, limits)
#   /* wraps: malloc realloc */ the linker sends these calls to the test's __wrap_ functions
function(unit_test source)
  get_filename_component(folder ${source} DIRECTORY)
  get_filename_component(module ${folder} NAME)
  get_filename_component(stem ${source} NAME_WE)
  string(REGEX REPLACE "^test_" "test_${module}_" name ${stem})
  if(NOT TARGET ${module})
    message(FATAL_ERROR "${source} tests '${module}', which is no module of layers.txt with a folder.")
  endif()
  set(labels unit)
  file(STRINGS ${source} marks REGEX "^/\\* (threaded|release|wraps: [a-z_ ]+) \\*/$")
  if(marks MATCHES "threaded")
    list(APPEND labels threaded)
  elseif(ONLY_THREADED)
    return()
  endif()
  if(marks MATCHES "release")
    list(APPEND labels release)
    if(SANITIZE)
      return()
    endif()
  endif()

  outsider(${name} ${source} tests_support ${module} PkgConfig::cmocka)
  if(marks MATCHES "wraps: ([a-z_ ]+) \\*/")
    separate_arguments(wrapped UNIX_COMMAND "${CMAKE_MATCH_1}")
    list(TRANSFORM wrapped PREPEND "LINKER:--wrap=")
    target_link_options(${name} PRIVATE ${wrapped})
  endif()
  set(scratch ${CMAKE_BINARY_DIR}/scratch/${name})
  file(MAKE_DIRECTORY ${scratch})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${scratch})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 180 ENVIRONMENT "${TEST_ENVIRONMENT}")
endfunction()

# A line "# release" says that the test is about what ships, jails and all; "# alone", that it
# measures time or memory, or fills disks, so no other test runs beside it.
function(system_test source)
  get_filename_component(stem ${source} NAME_WE)
  string(REGEX REPLACE "^test_" "system_" name ${stem})
  set(labels system)
  file(STRINGS ${source} marks REGEX "^# release$")
  if(marks)
    list(APPEND labels release)
    if(SANITIZE)
      return()
    endif()
  endif()
  set(alone FALSE)
  file(STRINGS ${source} marks REGEX "^# alone$")
  if(marks)
    set(alone TRUE)
  endif()
  add_test(NAME ${name}
           COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider ${CMAKE_SOURCE_DIR}/${source}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES
    LABELS "${labels}" TIMEOUT 900 RUN_SERIAL ${alone}
    ENVIRONMENT "${TEST_ENVIRONMENT};TOUCHMARK_BIN=${CMAKE_BINARY_DIR}/bin;PYTHONDONTWRITEBYTECODE=1")
endfunction()

# The fuzz preset makes the libFuzzer program; every other preset makes one that
# replays the committed corpus, so that what a fuzzer once found stays found.
function(fuzzer source)
  get_filename_component(stem ${source} NAME_WE)
  if(FUZZ)
    outsider(${stem} ${source} ${BELOW_DAEMON})
    target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  string(REGEX REPLACE "^fuzz_" "" thing ${stem})
  outsider(replay_${thing} ${source} replay ${BELOW_DAEMON})
  add_test(NAME replay_${thing} COMMAND replay_${thing} ${CMAKE_SOURCE_DIR}/fuzz/corpus/${thing})
  set_tests_properties(replay_${thing} PROPERTIES
    LABELS fuzz TIMEOUT 300 ENVIRONMENT "${TEST_ENVIRONMENT}")
endfunction()

function(outsider_library name)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

function(benchmark source)
  get_filename_component(stem ${source} NAME_WE)
  outsider(${stem} ${source} bench ${BELOW_DAEMON})
endfunction()

# Against the floor alone: that the load still runs, not what it measures.
function(bench_smoke)
  foreach(name IN LISTS ARGN)
    add_test(NAME bench_${name} COMMAND bench_${name} --quick --only floor)
    set_tests_properties(bench_${name} PROPERTIES LABELS release TIMEOUT 120 RUN_SERIAL TRUE)
  endforeach()
endfunction()

# A second set of the programs, in audit_off/bin, whose broker drops its audit records.
function(bench_without_audit user)
  set(folder ${CMAKE_BINARY_DIR}/audit_off/bin)
  add_executable(broker_without_audit daemon/broker_main.c bench/audit_off.c)
  target_include_directories(broker_without_audit PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(broker_without_audit PRIVATE daemon ${BELOW_DAEMON})
  set_target_properties(broker_without_audit PROPERTIES
    OUTPUT_NAME touchmark-broker RUNTIME_OUTPUT_DIRECTORY ${folder})
  foreach(call broker_witness audit_spool_add audit_spool_commit)
    target_link_options(broker_without_audit PRIVATE LINKER:--wrap=${call})
  endforeach()
  foreach(name touchmark touchmarkd touchmark-signer touchmark-authority touchmark-exporter)
    list(APPEND copies $<TARGET_FILE:${name}>)
  endforeach()
  add_custom_target(others_without_audit DEPENDS programs broker_without_audit
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${copies} ${folder})
  add_dependencies(${user} others_without_audit)
endfunction()
