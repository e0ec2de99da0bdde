# Flags that every object shares. Never -ffast-math: results must not depend on what a compiler may assume away.
add_library(auditkit_flags INTERFACE)
target_compile_options(auditkit_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -fno-math-errno)
if(AUDITKIT_SANITIZE)
  target_compile_options(auditkit_flags INTERFACE -fsanitize=${AUDITKIT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  target_link_options(auditkit_flags INTERFACE -fsanitize=${AUDITKIT_SANITIZE})
endif()
