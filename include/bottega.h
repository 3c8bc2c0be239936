/* SPDX-License-Identifier: MIT
 * Bottega: pictures, speech and text from quantized weights, offline.
 *
 * The one header that applications see.
 *
 *     bt_engine *e;  bt_model *m;  bt_job *j;  bt_image img = { sizeof img };
 *     bt_engine_create(NULL, &e);
 *     bt_model_open(e, "model.gguf", &m);
 *     bt_job_create(m, &j);
 *     bt_job_set(j, "prompt", "a red apple");
 *     if (bt_job_run(j) == BT_OK && bt_job_image(j, 0, &img) == BT_OK)
 *         ...img.pixels: img.height rows of img.width RGB pixels...
 *     bt_job_free(j);  bt_model_free(m);  bt_engine_free(e);
 *
 * Ownership: a `T **out` argument receives an object that the caller frees
 * with the matching bt_*_free; on failure it receives NULL. Strings and arrays
 * returned through `char **` or `int32_t **` are freed with bt_free. `const`
 * pointers that come back belong to the handle they came from. What goes in is
 * copied; no call keeps a caller's pointer, callbacks and their `user` apart.
 * Every free function accepts NULL. Handles may be freed in any order: a job
 * keeps its model, a model its engine.
 *
 * Structs may grow in later versions: set struct_size = sizeof the struct
 * before a call, also of those that the call fills (else BT_EINVAL). Members
 * that one side does not know are taken as zero, which means the default.
 *
 * Errors: a call that failed changed nothing (bt_job_run apart). A line for
 * people is in bt_engine_message or, for calls on a job, bt_job_message;
 * NULL for a handle or an `out` is BT_EINVAL without one. Any call may fail
 * with BT_ENOMEM. JSON and all other text is UTF-8.
 *
 * Threads: an engine and a model may be used by any number of threads at once;
 * a job belongs to one thread at a time, except bt_job_cancel, which any may
 * call, also a signal handler. The library never prints, exits, aborts or
 * reads environment variables.
 */
#ifndef BOTTEGA_H
#define BOTTEGA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define BT_API
#else
#define BT_API __attribute__((visibility("default")))
#endif

#define BT_VERSION "0.1.0"

/* X(name, number, text) */
#define BT_STATUS_MAP(X)                                                                           \
    X(OK, 0, "success")                                                                            \
    X(EINVAL, 1, "invalid argument")                                                               \
    X(ENOMEM, 2, "out of memory")                                                                  \
    X(EIO, 3, "input or output failed")                                                            \
    X(EFORMAT, 4, "malformed file")                                                                \
    X(EUNSUPPORTED, 5, "not supported")                                                            \
    X(ENOTFOUND, 6, "not found")                                                                   \
    X(EBUDGET, 7, "would exceed the memory budget")                                                \
    X(ECANCELLED, 8, "cancelled")                                                                  \
    X(EMISSING, 9, "a needed program is missing")

typedef enum bt_status {
#define BT_STATUS_ENUM(name, number, text) BT_##name = number,
    BT_STATUS_MAP(BT_STATUS_ENUM)
#undef BT_STATUS_ENUM
} bt_status;

typedef enum bt_kind { BT_KIND_TEXT = 1, BT_KIND_IMAGE, BT_KIND_AUDIO } bt_kind;

typedef struct bt_engine bt_engine;
typedef struct bt_model bt_model;
typedef struct bt_job bt_job;
typedef struct bt_audio_writer bt_audio_writer;

BT_API const char *bt_version(void);            /* of the library; BT_VERSION is the header's */
BT_API const char *bt_status_text(bt_status s); /* "success", "malformed file", ... */
BT_API const char *bt_kind_name(bt_kind k);     /* "text", "image", "audio" */
BT_API void bt_free(void *p);                   /* strings, ids, and bt_image_load's pixels */

/* ---- engine ---------------------------------------------------------- */

typedef struct bt_engine_options {
    size_t struct_size;
    int threads;           /* 0 = cores this process may use (cgroup, affinity); at most 1024 */
    const char *isa;       /* cap, as `--isa` names them: "scalar" .. "amx"; "auto" (NULL) = best */
    const char *precision; /* "auto" (NULL), "int8", "bf16", "f32" */
    uint64_t memory;       /* budget in bytes for one job; 0 = none */
    const char *cache_dir; /* where packed weights are kept between runs; NULL = nowhere */
    uint64_t cache_size;   /* most bytes of all of them; 0 = 16 GiB, less on a small disk */
    int peaks;             /* 1: measure what the machine can do at most, when it is first told */
} bt_engine_options;

/* `opts` may be NULL: all defaults. BT_EINVAL: no such isa or precision, or
 * too many threads. An isa that this machine lacks means its best below that. */
BT_API bt_status bt_engine_create(const bt_engine_options *opts, bt_engine **out);
BT_API void bt_engine_free(bt_engine *e);
/* Why the calling thread's latest call on this engine or a model failed; "" if
 * it did not. Valid until that thread's next call on the engine, a model or a job. */
BT_API const char *bt_engine_message(const bt_engine *e);
/* JSON object: instruction sets, chosen kernels, threads, memory, modules; with
 * the option `peaks` also "peaks", which takes a second and 512 MiB the first time. */
BT_API bt_status bt_engine_describe(bt_engine *e, char **json);
/* Loads a plug-in module (a shared object built for this exact version). It
 * takes the place of a module with the same name; open models keep theirs.
 * BT_EFORMAT: not a module; BT_EUNSUPPORTED: made for another version. */
BT_API bt_status bt_engine_load_module(bt_engine *e, const char *path);

/* ---- options as data ------------------------------------------------- */

typedef enum bt_option_type {
    BT_OPT_BOOL = 1,
    BT_OPT_INT,
    BT_OPT_UINT64,
    BT_OPT_FLOAT,
    BT_OPT_STRING,
    BT_OPT_CHOICE,
    BT_OPT_LIST /* a text: items with commas between them; a flag may be given several times */
} bt_option_type;

typedef struct bt_option_info {
    size_t struct_size;
    const char *name;       /* "cfg_scale"; on a command line --cfg-scale */
    const char *short_name; /* "p" for -p, or NULL */
    const char *aliases;    /* further spellings, comma-separated, or NULL */
    bt_option_type type;
    const char *default_value; /* as text; "" = chosen by the model */
    double min, max;           /* numbers only, inclusive; min >= max: any */
    const char *choices;       /* comma-separated, BT_OPT_CHOICE only */
    const char *unit;          /* "pixels", "s", or NULL */
    const char *help;
    const char *spellings; /* of the choices: "a,b=c,=d": "c" is taken for "b"; "d" is not listed */
} bt_option_info;

/* Options of every module of a kind, in help order. Index 0..count-1; beyond
 * it BT_ENOTFOUND. The strings live as long as the engine. */
BT_API size_t bt_option_count(bt_engine *e, bt_kind kind);
BT_API bt_status bt_option_at(bt_engine *e, bt_kind kind, size_t i, bt_option_info *out);

/* ---- models ---------------------------------------------------------- */

/* Opens a GGUF, safetensors or ONNX file, or a folder in the diffusers layout. Weights are
 * mapped, and packed at the first run. BT_EIO: cannot be read; BT_EFORMAT:
 * malformed; BT_EUNSUPPORTED: sound, but no module knows such a model. */
BT_API bt_status bt_model_open(bt_engine *e, const char *path, bt_model **out);
BT_API void bt_model_retain(bt_model *m);        /* one reference more */
BT_API void bt_model_free(bt_model *m);          /* gives one reference back */
BT_API bt_kind bt_model_kind(const bt_model *m); /* 0 for NULL */
/* JSON: what the module knows of the model (sizes, defaults, vocabulary). */
BT_API bt_status bt_model_describe(bt_model *m, char **json);
/* JSON: format, metadata and every tensor of any readable file or folder. */
BT_API bt_status bt_file_describe(bt_engine *e, const char *path, char **json);

typedef int (*bt_convert_fn)(void *user, const char *tensor, const char *from, const char *to,
                             uint64_t bytes_in, uint64_t bytes_out); /* non-zero cancels */
/* Writes `in` (anything readable) as one GGUF with weights of `type`
 * ("f32", "f16", "bf16", "q8_0", "q4_0", ...). Tensors that do not suit the
 * type keep a better one; `each` (may be NULL) hears of every tensor, sizes in
 * bytes. `out` appears only when whole. `rules` (NULL: none): "REGEX=TYPE" parted by
 * commas or ends of lines, POSIX extended; a weight takes the type of the first that
 * matches in its name, and a rule that matches none is BT_EINVAL. */
BT_API bt_status bt_convert(bt_engine *e, const char *in, const char *out, const char *type,
                            const char *rules, bt_convert_fn each, void *user);

/* Text to token ids and back; for image models, of the prompt's tokenizer.
 * `special`: parse special tokens in the text. *ids, *text: bt_free. No token
 * is added. *text ends with a zero that *len (may be NULL) does not count.
 * BT_EUNSUPPORTED: the model has no tokenizer (voices, vocoders). */
BT_API bt_status bt_tokenize(bt_model *m, const char *text, size_t len, int special, int32_t **ids,
                             size_t *n);
BT_API bt_status bt_detokenize(bt_model *m, const int32_t *ids, size_t n, char **text, size_t *len);

/* ---- pictures and sound in memory ------------------------------------ */

/* A caller's picture, or one of the library's: see who says so. */
typedef struct bt_image {
    size_t struct_size;
    int width, height, channels; /* channels: 1 grey, 3 RGB */
    uint8_t *pixels;             /* height * width * channels, rows from the top */
} bt_image;

typedef struct bt_audio {
    size_t struct_size;
    int sample_rate, channels; /* Hz; voices have one channel */
    size_t n;                  /* samples per channel */
    const float *samples;      /* interleaved, nominally -1..1 */
    const char *format; /* to save as: "wav", "flac", "ogg", "opus", "mp3"; NULL: by suffix */
    const char *bits;   /* "16" (NULL), "24" (WAV, FLAC), "float" (WAV) */
    const char *title, *album; /* for the file's tags, where its format has them; NULL: none */
    int track;                 /* 0: none */
} bt_audio;

/* Numbers, the last dimension running fastest. */
typedef struct bt_array {
    size_t struct_size;
    int n_dims; /* 1..4 */
    int64_t dims[4];
    const float *values;
} bt_array;

/* A picture's file, beyond its pixels. */
typedef struct bt_image_file {
    size_t struct_size;
    const char *format;   /* "png", "jpeg", "webp"; NULL: by suffix, PNG without one */
    int quality;          /* of JPEG and WebP, 1..100; 0: 90; WebP at 100 loses nothing */
    const char *text;     /* A1111's "parameters"; NULL: none */
    const char *settings; /* a second text, JSON, for programs that make the picture again */
} bt_image_file;

/* PNG, JPEG or WebP, whole or not at all. `file` NULL: all defaults. A PNG has its texts in
 * chunks "parameters" and "bottega", the others in an Exif block (user comment, maker note);
 * what is above JPEG's 64 KiB is left out. Without an img only path, format and quality are
 * checked, and nothing is written. */
BT_API bt_status bt_image_save(bt_engine *e, const char *path, const bt_image *img,
                               const bt_image_file *file);
/* A file is what its first bytes say, up to 16384 pixels a side, and becomes 1 or 3 channels,
 * right side up; a text that it does not have is NULL. Each of out, text and settings may be
 * NULL: not wanted. out->pixels, *text, *settings: bt_free. */
BT_API bt_status bt_image_load(bt_engine *e, const char *path, bt_image *out, char **text,
                               char **settings);
/* WAV, FLAC, Ogg Vorbis, Opus or MP3; whole or not at all, the same bytes for the
 * same sound. Opus and MP3 take few sample rates: others become the next higher
 * one. Without samples, n, rate and channels it writes nothing, only tells whether
 * path, format and bits fit. BT_EUNSUPPORTED: this libsndfile has no such format. */
BT_API bt_status bt_audio_save(bt_engine *e, const char *path, const bt_audio *audio);
/* The same piece by piece, in constant memory: form's n and samples are not looked at.
 * How the sound is cut changes no byte. After a failed add nothing is left but to close. */
BT_API bt_status bt_audio_writer_open(bt_engine *e, const char *path, const bt_audio *form,
                                      bt_audio_writer **out);
BT_API bt_status bt_audio_writer_add(bt_audio_writer *w, const float *samples, size_t n);
/* Frees w, whatever it returns. keep 1: the file appears, or BT_EIO; 0: nothing is left. */
BT_API bt_status bt_audio_writer_close(bt_audio_writer *w, int keep);

/* The mel spectrogram of a sound file `in` (any that libsndfile reads; its channels' mean,
 * at the spectrogram's rate) as `out`, a .npy file of float32 [bands, frames], whole or not at
 * all. Made as the vocoder m takes it; m NULL: as `form` "hifigan" (NULL; 22.05 kHz, 80 bands) or
 * "vocos" (24 kHz, 100 bands). BT_EUNSUPPORTED: m is no vocoder. */
BT_API bt_status bt_mel(bt_engine *e, bt_model *m, const char *form, const char *in,
                        const char *out);

/* ---- jobs ------------------------------------------------------------ */

typedef enum bt_timing_kind {
    BT_TIMING_SENTENCE = 1,
    BT_TIMING_WORD,
    BT_TIMING_PHONEME
} bt_timing_kind;

/* When something is said. A sentence comes first, then its words, then its phonemes,
 * which follow each other without a gap from the sentence's begin to its end. */
typedef struct bt_timing {
    size_t struct_size;
    bt_timing_kind kind;
    int sample_rate;
    uint64_t begin, end;  /* samples of the run's sound at this rate, the voice's own; silences
                             counted */
    size_t from, to;      /* bytes of the option "text" or "phonemes"; equal: no such place */
    const char *spelling; /* as the voice looks it up; "" if it does not tell */
    const char *phonemes; /* "" for the marks that a voice puts between phonemes */
    int32_t id;           /* of a phoneme, else -1 */
} bt_timing;

/* Every callback may return non-zero to cancel. Any member may be NULL.
 * They run on the thread that runs the job; what they are given is theirs
 * until they return. They must not touch the job but to cancel it.
 * progress: `done` of `total` (0: unknown) steps of a stage ("prompt", "speak",
 * "denoise", ...). samples: mono, as soon as there are some. token: `text` is
 * not terminated; len 0 while a character is incomplete; id -1: the prompt,
 * with option "echo". preview: what picture `index` of the run looks like so far, small.
 * timing: before the sentence's samples; with it set, a voice
 * that cannot tell fails with BT_EUNSUPPORTED. */
typedef struct bt_callbacks {
    size_t struct_size;
    void *user;
    int (*progress)(void *user, const char *stage, int done, int total);
    int (*samples)(void *user, const bt_audio *chunk); /* in order, each sample once */
    int (*token)(void *user, int32_t id, const char *text, size_t len); /* whole UTF-8 characters */
    int (*timing)(void *user, const bt_timing *t);
    int drop_samples; /* 1: the job keeps no samples; bt_job_audio then tells rate and n alone */
    int patient;      /* 1: nobody waits for the first samples, so that all are there sooner; the
                         same samples. Without the callback it is so anyway. */
    int (*preview)(void *user, size_t index, const bt_image *img);
    int preview_interval; /* steps from one to the next; 0: 1 */
} bt_callbacks;

typedef struct bt_estimate {
    size_t struct_size;
    uint64_t weights, arena, caches; /* bytes */
    double flops;                    /* of one run: multiplications and additions */
} bt_estimate;

BT_API bt_status bt_job_create(bt_model *m, bt_job **out); /* keeps a reference to m */
BT_API void bt_job_free(bt_job *j);
BT_API const char *bt_job_message(const bt_job *j); /* of the last failure, "" if none */
/* Sets an option by name or alias ('-' and '_' are one), as text; value NULL
 * restores the default. Input is an option too: "prompt" (image, text), "text"
 * or "phonemes" (voices), "mel" (vocoders). Numbers read as in C, whatever the locale.
 * "seed" has a fixed default, so that runs repeat; -1 draws one, and bt_job_get
 * tells which it was.
 * BT_ENOTFOUND: no such option; BT_EINVAL: out of range; BT_EFORMAT: a text
 * that is not UTF-8 (see the message). */
BT_API bt_status bt_job_set(bt_job *j, const char *name, const char *value);
/* The value in force; after a run, the value that was used (the model's where
 * none was set), or a fact that the run reported ("tokens"). Valid until the
 * next set or run. NULL: unknown. */
BT_API const char *bt_job_get(const bt_job *j, const char *name);
/* Picture input: "init" (to start from), "mask" (white where it may change), "control" (what the
 * first ControlNet reads), "control2" to "control8"; 1 or 3 channels of any size. Copied. img NULL
 * removes it. */
BT_API bt_status bt_job_set_image(bt_job *j, const char *name, const bt_image *img);
/* Array input: "mel", a vocoder's spectrogram, [bands, frames] or [frames, bands], natural
 * logarithms as bt_mel makes them; it goes before the option "mel", which names a .npy file.
 * Copied. a NULL removes it. BT_ENOTFOUND: the model takes no such array. */
BT_API bt_status bt_job_set_array(bt_job *j, const char *name, const bt_array *a);
/* cb is copied; NULL (or struct_size 0): no callbacks. */
BT_API void bt_job_set_callbacks(bt_job *j, const bt_callbacks *cb);
/* What a run with the options as they are would need, without running it. */
BT_API bt_status bt_job_estimate(bt_job *j, bt_estimate *out);
/* Runs to the end, to a failure, or to cancellation (BT_ECANCELLED); what was
 * finished by then is there as results. BT_EBUDGET: the estimate is above the
 * engine's memory budget, and nothing ran. BT_ENOTFOUND: nothing in the text can
 * be said. May be called again with new options; a chat's turns and encoded
 * prompts stay. */
BT_API bt_status bt_job_run(bt_job *j);
BT_API void bt_job_cancel(bt_job *j); /* from any thread; the next run is unaffected */

/* Results of the last run; they, pixels and samples included, belong to the
 * job until its next run. BT_ENOTFOUND: there is no such picture, or no sound. */
BT_API size_t bt_job_image_count(const bt_job *j);
BT_API bt_status bt_job_image(const bt_job *j, size_t i, bt_image *out);
BT_API bt_status bt_job_audio(const bt_job *j, bt_audio *out);
/* The text made (i = 0), or the A1111 infotext of picture i; "" if none. */
BT_API const char *bt_job_text(const bt_job *j, size_t i);
/* Options used, counts, seconds; with option "profile" also where they went. */
BT_API bt_status bt_job_report(const bt_job *j, char **json);
/* Chrome/Perfetto trace of the last run; BT_ENOTFOUND: option "profile" was off.
 * Both tell shares of the machine's peaks if the engine has the option `peaks`. */
BT_API bt_status bt_job_trace(const bt_job *j, char **json);

#ifdef __cplusplus
}
#endif
#endif
