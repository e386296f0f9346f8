global-incdirs-y += include
srcs-y += shaped_ta.c
