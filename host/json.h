/* SPDX-License-Identifier: MIT */
/*
 * json: what happens in a run, for programs: the line stream of -json FILE.
 *
 * FILE is written from the start of the run; it may be what standard output or
 * standard error already is (-json /dev/stdout). Each line is one JSON object
 * (RFC 8259, UTF-8), written at once when its event happens. "event" comes
 * first and names it; the other members, in this order:
 *
 *   start         the network stands in both worlds, its weights are loaded
 *     format        1; raised when a member changes its meaning, not for new ones
 *     abi           version of darknetp_ta.h
 *     verb          "train", "predict", "valid" or "test"
 *     data, network paths, as given
 *     weights       path as given, or null
 *     partition     {"start", "end"}: layers in the TEE, both included; or null
 *     frozen        layers before this one do not learn
 *     batch, subdivisions, micro_batch   images; micro_batch: in one step
 *     seed          only of a run that can be repeated
 *     layers        [{"index", "kind", "world", "inputs", "outputs"}]; kind:
 *                   the section's name in the cfg, world: "normal" or "secure",
 *                   inputs and outputs: floats of one image
 *     secure_memory {"needed", "available"}: bytes of the TA's heap; or null
 *   resumed       train goes on from a checkpoint, momentum included
 *     n             batches done before
 *   iteration     train: a batch is done
 *     n             its number, from 1 on
 *     loss, average of the layers in the normal world; null if none owns a loss
 *     rate          learning rate, of the batch that follows
 *     seconds       to compute it
 *     load_seconds  to read and vary the images before
 *     images        trained on so far, those of earlier runs included
 *   saved         train: a model is on the disk, whole
 *     kind          "weights" or "checkpoint"
 *     path          what to give as WEIGHTS to use it
 *     files         the files that it consists of
 *   prediction    predict, test: an image is classified
 *     image         path
 *     seconds       to fit and to classify it, by the clock
 *     hidden        true: the TEE told the first class and nothing else
 *     top           [{"class", "name", "share"}], best first; share from 0 to 1.
 *                   If hidden only the first one, whose share is then 1
 *   validated     valid: an image is classified
 *     image, class, best     path; index of its class and of the one found
 *     in_top        its class is among the first k
 *   accuracy      valid: the end of the list
 *     images        how many
 *     top           k; 1 if hidden, as nothing else is known
 *     top1, topk    shares of them, from 0 to 1
 *   plan          plan: what a partition takes in the TEE; see plan_table.h
 *   note, error   a message of stderr
 *     text          without "darknetp: "
 *   end           the last line, whatever happened but a crash
 *     status        exit status
 *     seconds       of the whole run
 *     calls         commands that the secure world was asked to do; this and
 *                   what follows is missing if no session could be opened
 *     bytes_to_secure, bytes_from_secure   in their memory references
 *     commands      {NAME: {"calls", "bytes_to_secure", "bytes_from_secure"}},
 *                   by the names of darknetp_ta.h: "version", "build",
 *                   "tensor_load", "tensor_save", "forward", "backward", "train"
 *
 * Numbers are exact: as many digits as it takes. What JSON has no number for is
 * a string: "nan", "inf", "-inf". Bytes of a path or name that are not UTF-8
 * become U+FFFD. A command line with wrong flags ends before the stream begins.
 *
 * There is one stream, as there is one standard error; without -json these
 * functions do nothing. Members belong to the event, object or array opened
 * last; @key is NULL for elements of an array.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stdint.h>

/* Write events to @path (NULL: to nowhere). */
int json_open(const char *path);

/*
 * End the stream; @status is handed through, but one of 0 becomes
 * STATUS_FAILED if lines could not be written.
 */
int json_close(int status);

void json_begin(const char *event);
void json_end(void);

void json_open_object(const char *key);
void json_close_object(void);
void json_open_array(const char *key);
void json_close_array(void);

/* @value NULL: null. */
void json_string(const char *key, const char *value);
void json_unsigned(const char *key, uint64_t value);
void json_float(const char *key, float value);
void json_double(const char *key, double value);
void json_bool(const char *key, bool value);
void json_null(const char *key);

#endif /* JSON_H */
