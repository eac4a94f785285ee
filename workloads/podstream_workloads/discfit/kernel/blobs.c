/* From pixels to blobs: box means, a background with a slope, connected cells. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

/* Means of k x k pixels from (x0, y0) on; the caller makes sure that all lie in the plane. */
WIDE
void box_means(plane_t plane, int x0, int y0, int cols, int rows, int k, float *out)
{
    float share = 1.0f / (float)(k * k);
    uint16_t sums[4 * 4096];
    for (int row = 0; row < rows; row++) {
        const uint8_t *line = plane.data + (ptrdiff_t)(y0 + row * k) * plane.stride + x0;
        int width = cols * k;
        for (int i = 0; i < width; i++)
            sums[i] = line[i];
        for (int j = 1; j < k; j++) {
            line += plane.stride;
            for (int i = 0; i < width; i++)
                sums[i] = (uint16_t)(sums[i] + line[i]);
        }
        float *target = out + (size_t)row * (size_t)cols;
        if (k == 4) {
            for (int i = 0; i < cols; i++)
                target[i] = share * (float)(sums[4 * i] + sums[4 * i + 1] + sums[4 * i + 2] +
                                            sums[4 * i + 3]);
        } else if (k == 2) {
            for (int i = 0; i < cols; i++)
                target[i] = share * (float)(sums[2 * i] + sums[2 * i + 1]);
        } else {
            for (int i = 0; i < cols; i++)
                target[i] = (float)sums[i];
        }
    }
}

/* Solve a symmetric 3 x 3 system by Cramer's rule; 0 where it is singular. */
static int solve3(const double s[6], const double t[3], double out[3])
{
    double a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5];
    double i0 = d * f - e * e, i1 = c * e - b * f, i2 = b * e - c * d;
    double det = a * i0 + b * i1 + c * i2;
    if (!(fabs(det) > 1e-9))
        return 0;
    out[0] = (i0 * t[0] + i1 * t[1] + i2 * t[2]) / det;
    out[1] = (i1 * t[0] + (a * f - c * c) * t[1] + (b * c - a * e) * t[2]) / det;
    out[2] = (i2 * t[0] + (b * c - a * e) * t[1] + (a * d - b * b) * t[2]) / det;
    return 1;
}

/* Level at (0, 0), slope per cell along x and y, and the deviation of the cells that fit in.
 *
 * Starts at the histogram's mode where five grey levels hold more than half of the samples, else
 * at the median; then least squares on what lies within three deviations. */
void background(const float *grid, int cols, int rows, double out[4])
{
    long cells = (long)cols * rows;
    int step = cells > 300000 ? 20 : cells > 40000 ? 10 : 3;
    long histogram[256] = {0}, total = 0;
    for (int y = 0; y < rows; y += step)
        for (int x = 0; x < cols; x += step, total++)
            histogram[(int)grid[(size_t)y * (size_t)cols + (size_t)x]]++;
    long best = -1, seen = 0;
    int mode = 0, median = 0;
    for (int level = 0; level < 256; level++) {
        if (2 * seen < total)
            median = level;
        seen += histogram[level];
        if (level > 251)
            continue;
        long window = 0;
        for (int i = 0; i < 5; i++)
            window += histogram[level + i];
        if (window > best) {
            best = window;
            mode = level + 2;
        }
    }
    int is_flat = 2 * best > total;
    double fit[3] = {is_flat ? mode + 0.5 : median + 0.5, 0, 0};
    double limit = is_flat ? 12 : 60, sigma = limit / 3;
    for (int round = 0; round < 5; round++) {
        double s[6] = {0}, t[3] = {0}, squares = 0;
        for (int y = 0; y < rows; y += step)
            for (int x = 0; x < cols; x += step) {
                double value = grid[(size_t)y * (size_t)cols + (size_t)x];
                double rest = value - (fit[0] + fit[1] * x + fit[2] * y);
                if (fabs(rest) > limit)
                    continue;
                s[0] += 1, s[1] += x, s[2] += y;
                s[3] += (double)x * x, s[4] += (double)x * y, s[5] += (double)y * y;
                t[0] += value, t[1] += value * x, t[2] += value * y;
                squares += value * value;
            }
        double next[3];
        if (s[0] < 8 || !solve3(s, t, next))
            break;
        memcpy(fit, next, sizeof next);
        double rest = squares - (fit[0] * t[0] + fit[1] * t[1] + fit[2] * t[2]);
        sigma = sqrt(fmax(0, rest) / s[0]);
        limit = fmin(60, fmax(3, 3 * sigma));
    }
    memcpy(out, fit, sizeof fit);
    out[3] = sigma;
}

/* Add how far each cell is from the background, in squared deviations. */
WIDE
void add_scores(const float *grid, int cols, int rows, const double fit[4], float *scores)
{
    double sigma = fmax(fit[3], 0.9);
    float share = (float)(1 / (sigma * sigma)), slope = (float)fit[1];
    for (int y = 0; y < rows; y++) {
        float level = (float)(fit[0] + fit[2] * y);
        const float *line = grid + (size_t)y * (size_t)cols;
        float *target = scores + (size_t)y * (size_t)cols;
        for (int x = 0; x < cols; x++) {
            float rest = line[x] - (level + slope * (float)x);
            target[x] += share * rest * rest;
        }
    }
}

static int32_t root_of(int32_t *parent, int32_t label)
{
    while (parent[label] != label) {
        parent[label] = parent[parent[label]];
        label = parent[label];
    }
    return label;
}

/* Sums of 0 + 1 + ... + (n - 1) and of their squares. */
static double sum1(double n) { return n * (n - 1) / 2; }
static double sum2(double n) { return n * (n - 1) * (2 * n - 1) / 6; }

static void add_run(blob_t *blob, const run_t *run)
{
    double n = run->end - run->start, y = run->row;
    double sx = sum1(run->end) - sum1(run->start);
    blob->n += n, blob->sx += sx, blob->sy += n * y;
    blob->sxx += sum2(run->end) - sum2(run->start), blob->syy += n * y * y, blob->sxy += sx * y;
    if (run->start < blob->left) blob->left = run->start;
    if (run->end - 1 > blob->right) blob->right = run->end - 1;
    if (run->row < blob->top) blob->top = run->row;
    if (run->row > blob->bottom) blob->bottom = run->row;
}

/* Join runs that touch a run of the row above (4-neighbourhood), by union-find. */
static void join_runs(run_t *runs, int count, int32_t *parent)
{
    int above = 0;
    for (int i = 0; i < count; i++) {
        parent[i] = i;
        while (above < i && runs[above].row < runs[i].row - 1)
            above++;
        while (above < i && runs[above].row == runs[i].row - 1 &&
               runs[above].end <= runs[i].start)
            above++;
        for (int j = above; j < i && runs[j].row == runs[i].row - 1 && runs[j].start < runs[i].end;
             j++) {
            int32_t a = root_of(parent, j), b = root_of(parent, i);
            if (a < b)
                parent[b] = a;
            else
                parent[a] = b;
        }
    }
}

/* The first cell from x on whose score passes the threshold; cols where there is none. */
WIDE
static int next_hit(const float *line, int x, int cols, float threshold)
{
    enum { STRIDE = 32 };
    while (x + STRIDE <= cols) {
        int hits = 0;
        for (int i = 0; i < STRIDE; i++)
            hits |= line[x + i] > threshold;
        if (hits)
            break;
        x += STRIDE;
    }
    while (x < cols && !(line[x] > threshold))
        x++;
    return x;
}

/* Blobs of `least` to `most` cells whose scores pass a threshold, at most MAX_BLOBS of them.
 *
 * A run's label is the index of its blob's first run. -1 where there are more than MAX_RUNS runs, or
 * memory is out. */
int label_blobs(const float *scores, int cols, int rows, float threshold, double least, double most,
                run_t *runs, int *run_count, blob_t *blobs)
{
    int count = 0;
    for (int y = 0; y < rows; y++) {
        const float *line = scores + (size_t)y * (size_t)cols;
        int x = 0;
        while ((x = next_hit(line, x, cols, threshold)) < cols) {
            int start = x;
            while (x < cols && line[x] > threshold)
                x++;
            if (count == MAX_RUNS)
                return -1;
            runs[count++] = (run_t){y, start, x, 0};
        }
    }
    *run_count = count;
    if (!count)
        return 0;
    int32_t *parent = malloc((size_t)count * sizeof *parent);
    blob_t *all = calloc((size_t)count, sizeof *all);
    int kept = -1;
    if (parent && all) {
        join_runs(runs, count, parent);
        for (int i = 0; i < count; i++) {
            int32_t label = root_of(parent, i);
            runs[i].label = label;
            if (!all[label].n) {
                all[label].left = runs[i].start, all[label].right = runs[i].end - 1;
                all[label].top = all[label].bottom = runs[i].row;
                all[label].label = label;
            }
            add_run(&all[label], &runs[i]);
        }
        kept = 0;
        for (int i = 0; i < count && kept < MAX_BLOBS; i++)
            if (all[i].n > 0 && all[i].n >= least && all[i].n <= most)
                blobs[kept++] = all[i];
    }
    free(parent);
    free(all);
    return kept;
}
