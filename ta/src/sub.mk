# SPDX-License-Identifier: MIT

srcs-y += command.c
srcs-y += entry.c
srcs-y += loss_report.c
srcs-y += model.c
srcs-y += model_build.c
srcs-y += request.c
