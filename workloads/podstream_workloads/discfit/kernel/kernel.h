/* The compiled half of the disc estimator: loops over pixels, nothing else.
 *
 * Every function here has a twin in ../plain.py with the same meaning, and tests/discfit compares
 * the two on the same pictures. Pixel (0, 0) has its centre at (0, 0). No function writes to a
 * picture, keeps a pointer, or calls Python.
 */
#ifndef PODSTREAM_DISCFIT_KERNEL_H
#define PODSTREAM_DISCFIT_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* GCC compiles the marked functions twice, with and without AVX2, and the loader picks. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* 8-bit samples, `stride` bytes from row to row. */
typedef struct {
    const uint8_t *data;
    ptrdiff_t stride;
    int width, height;
} plane_t;

/* Which cells of a grid belong together: sums over the cells (x, y). */
typedef struct {
    double n, sx, sy, sxx, syy, sxy;
    int left, top, right, bottom; /* inclusive */
    int label;
} blob_t;

/* Cells start..end-1 of a row, all in one blob. */
typedef struct {
    int32_t row, start, end, label;
} run_t;

/* A disc on a background with a slope, as the fit describes it. */
typedef struct {
    double x, y, r, w;   /* centre, radius, half-width of the edge */
    double f, b, gx, gy; /* inside; outside at the centre; slope per radius */
} disc_t;

typedef struct {
    int rounds; /* 0: there was nothing to fit */
    double sd;  /* residual, grey levels */
} fit_t;

typedef struct {
    int sectors;      /* that show inside and outside */
    int agreeing;     /* of them, with the contrast of the whole */
    double ring_rms;  /* of the background beside the disc, grey levels; 0: not visible */
    double shape_rms; /* radial displacement over sectors, pixels; negative: none visible */
} verdict_t;

enum { MAX_RUNS = 1 << 16, MAX_BLOBS = 256 };

void box_means(plane_t plane, int x0, int y0, int cols, int rows, int k, float *out);
void background(const float *grid, int cols, int rows, double out[4]);
void add_scores(const float *grid, int cols, int rows, const double fit[4], float *scores);
int label_blobs(const float *scores, int cols, int rows, float threshold, double least, double most,
                run_t *runs, int *run_count, blob_t *blobs);
fit_t fit_disc(plane_t plane, disc_t *disc, double least_w, int may_be_exact);
verdict_t judge_disc(plane_t plane, const disc_t *disc);
void prepare_probes(void);
void probe_disc(plane_t plane, double x, double y, double r, double out[2]);

#endif
