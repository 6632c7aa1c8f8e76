// The passes between the matrix products of a Transformer, each once over memory. Compiled when a GPU is there, for its
// architecture, with these macros; tests compile the same text for the host. No header is included.
//   COLUMNS  of a normed row: even, at most 1024
//   BF16     1: values are bf16, 0: float
// Rows lie one after another. Random numbers are those of keyed_random.h.

#ifndef KERNEL
#define KERNEL extern "C" __global__
#endif

// Loads of several rows under way at a time.
#ifdef __CUDACC_RTC__
#define UNROLLED _Pragma("unroll 4")
#else
#define UNROLLED
#endif

typedef unsigned int Word;

#if BF16
typedef unsigned short Value;
#else
typedef float Value;
#endif

// Elements of a row come in chunks of 64: eight lanes of four words of two numbers. A warp reads four chunks at a time.
#define LANES 8
#define CHUNK 64
#define WARP 32
#define PASSES ((COLUMNS + 4 * CHUNK - 1) / (4 * CHUNK))
#define HELD (PASSES * 8)  // elements of a row that a thread holds

struct Pair {
    float first;
    float second;
};

__device__ inline float widened(unsigned short value) {
    return __uint_as_float((Word)value << 16);
}

// To the nearest, ties to even.
__device__ inline unsigned short narrowed(float value) {
    Word bits = __float_as_uint(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return 0x7FC0u;  // not a number
    }
    bits += 0x7FFFu + ((bits >> 16) & 1u);
    return (unsigned short)(bits >> 16);
}

// Of two neighbours; the first has an even index.
__device__ inline Pair load(const unsigned short* from) {
    const Word both = *(const Word*)from;
    Pair pair;
    pair.first = widened((unsigned short)(both & 0xFFFFu));
    pair.second = widened((unsigned short)(both >> 16));
    return pair;
}
__device__ inline Pair load(const float* __restrict__ from) {
    Pair pair;
    pair.first = from[0];
    pair.second = from[1];
    return pair;
}
__device__ inline void store(unsigned short* to, Pair pair) {
    *(Word*)to = (Word)narrowed(pair.first) | (Word)narrowed(pair.second) << 16;
}
__device__ inline void store(float* to, Pair pair) {
    to[0] = pair.first;
    to[1] = pair.second;
}

__device__ inline float warp_sum(float value) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
    }
    return value;
}

// Four words of Philox4x32-10.
__device__ inline void philox(Word counter0, Word position, Word example, Word site, Word key0, Word key1,
                              Word* words) {
    Word c0 = counter0;
    Word c1 = position;
    Word c2 = example;
    Word c3 = site;
    for (int round = 0; round < 10; ++round) {
        const unsigned long long product0 = (unsigned long long)0xD2511F53u * c0;
        const unsigned long long product1 = (unsigned long long)0xCD9E8D57u * c2;
        c0 = (Word)(product1 >> 32) ^ c1 ^ key0;
        c1 = (Word)product1;
        c2 = (Word)(product0 >> 32) ^ c3 ^ key1;
        c3 = (Word)product0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

// dropout: threshold 0 means none, and the pointers are not read.
#define DROPOUT_PARAMETERS \
    const int *example, const int *position, const int *key, Word site, Word threshold, float scale

// What a thread's elements of one chunk of a row are multiplied with, in pairs: 0 or scale.
__device__ inline void dropout_factors(Word counter, long long row, DROPOUT_PARAMETERS, Pair* factors) {
    if (threshold == 0) {
        for (int word = 0; word < 4; ++word) {
            factors[word].first = 1.0f;
            factors[word].second = 1.0f;
        }
        return;
    }
    Word words[4];
    philox(counter, (Word)position[row], (Word)example[row], site, (Word)key[0], (Word)key[1], words);
    for (int word = 0; word < 4; ++word) {
        factors[word].first = (words[word] & 0xFFFFu) >= threshold ? scale : 0.0f;
        factors[word].second = (words[word] >> 16) >= threshold ? scale : 0.0f;
    }
}

// kept[row, column] = 1 where nothing is dropped. One thread per lane of a chunk.
KERNEL void keep(DROPOUT_PARAMETERS, long long rows, int columns, unsigned char* kept) {
    const int lanes = (columns + CHUNK - 1) / CHUNK * LANES;  // of a row
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= rows * lanes) {
        return;
    }
    const long long row = thread / lanes;
    const int counter = (int)(thread % lanes);
    Pair factors[4];
    dropout_factors((Word)counter, row, example, position, key, site, threshold, scale, factors);
    for (int word = 0; word < 4; ++word) {
        const int column = counter / LANES * CHUNK + word * 16 + counter % LANES * 2;
        unsigned char* const to = kept + row * columns + column;
        if (column < columns) {
            to[0] = factors[word].first != 0.0f;
        }
        if (column + 1 < columns) {
            to[1] = factors[word].second != 0.0f;
        }
    }
}

// output = LayerNorm(residual + dropout(values + bias)). One warp per row.
KERNEL void add_norm(const Value* __restrict__ values, const float* __restrict__ bias,
                     const Value* __restrict__ residual, const float* __restrict__ gain,
                     const float* __restrict__ norm_bias, float epsilon, DROPOUT_PARAMETERS, long long rows,
                     Value* __restrict__ output, Value* __restrict__ normalized, float* __restrict__ rstd) {
    const long long row = (long long)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) {
        return;
    }
    const int thread = (int)(threadIdx.x % WARP);
    Pair sums[HELD / 2];
    float total = 0.0f;
    for (int pass = 0; pass < PASSES; ++pass) {
        const int counter = pass * WARP + thread;
        Pair factors[4];
        dropout_factors((Word)counter, row, example, position, key, site, threshold, scale, factors);
        for (int word = 0; word < 4; ++word) {
            const int column = counter / LANES * CHUNK + word * 16 + counter % LANES * 2;
            Pair sum = {0.0f, 0.0f};
            if (column < COLUMNS) {
                const Pair value = load(values + row * COLUMNS + column);
                const Pair other = load(residual + row * COLUMNS + column);
                sum.first = (value.first + bias[column]) * factors[word].first + other.first;
                sum.second = (value.second + bias[column + 1]) * factors[word].second + other.second;
            }
            sums[pass * 4 + word] = sum;
            total += sum.first + sum.second;
        }
    }
    const float mean = warp_sum(total) / COLUMNS;
    float squares = 0.0f;
    for (int pass = 0; pass < PASSES; ++pass) {
        const int counter = pass * WARP + thread;
        for (int word = 0; word < 4; ++word) {
            const int column = counter / LANES * CHUNK + word * 16 + counter % LANES * 2;
            if (column < COLUMNS) {
                const float first = sums[pass * 4 + word].first - mean;
                const float second = sums[pass * 4 + word].second - mean;
                squares += first * first + second * second;
            }
        }
    }
    const float inverse = 1.0f / sqrtf(warp_sum(squares) / COLUMNS + epsilon);
    for (int pass = 0; pass < PASSES; ++pass) {
        const int counter = pass * WARP + thread;
        for (int word = 0; word < 4; ++word) {
            const int column = counter / LANES * CHUNK + word * 16 + counter % LANES * 2;
            if (column < COLUMNS) {
                Pair norm;
                norm.first = (sums[pass * 4 + word].first - mean) * inverse;
                norm.second = (sums[pass * 4 + word].second - mean) * inverse;
                store(normalized + row * COLUMNS + column, norm);
                norm.first = norm.first * gain[column] + norm_bias[column];
                norm.second = norm.second * gain[column + 1] + norm_bias[column + 1];
                store(output + row * COLUMNS + column, norm);
            }
        }
    }
    if (thread == 0) {
        rstd[row] = inverse;
    }
}

// Gradients of add_norm. Each warp takes every so-many-th row, and leaves its sums over them in `partial`:
// [warps, 3, COLUMNS], of bias, gain and norm_bias.
KERNEL void add_norm_backward(const Value* __restrict__ gradient, const Value* __restrict__ normalized,
                              const float* __restrict__ rstd, const float* __restrict__ gain,
                              DROPOUT_PARAMETERS, long long rows, Value* __restrict__ of_values,
                              Value* __restrict__ of_residual, float* __restrict__ partial) {
    const int warps_per_block = (int)(blockDim.x / WARP);
    const long long warp = (long long)blockIdx.x * warps_per_block + threadIdx.x / WARP;
    const long long warps = (long long)gridDim.x * warps_per_block;
    const int thread = (int)(threadIdx.x % WARP);
    Pair of_bias[HELD / 2];
    Pair of_gain[HELD / 2];
    Pair of_norm_bias[HELD / 2];
    const Pair zero = {0.0f, 0.0f};
    for (int i = 0; i < HELD / 2; ++i) {
        of_bias[i] = zero;
        of_gain[i] = zero;
        of_norm_bias[i] = zero;
    }
    for (long long row = warp; row < rows; row += warps) {
        Pair scaled[HELD / 2];
        Pair norms[HELD / 2];
        float total = 0.0f;
        float products = 0.0f;
        for (int pass = 0; pass < PASSES; ++pass) {
            const int counter = pass * WARP + thread;
            for (int word = 0; word < 4; ++word) {
                const int i = pass * 4 + word;
                const int column = counter / LANES * CHUNK + word * 16 + counter % LANES * 2;
                scaled[i] = zero;
                norms[i] = zero;
                if (column < COLUMNS) {
                    const Pair upstream = load(gradient + row * COLUMNS + column);
                    norms[i] = load(normalized + row * COLUMNS + column);
                    of_gain[i].first += upstream.first * norms[i].first;
                    of_gain[i].second += upstream.second * norms[i].second;
                    of_norm_bias[i].first += upstream.first;
                    of_norm_bias[i].second += upstream.second;
                    scaled[i].first = upstream.first * gain[column];
                    scaled[i].second = upstream.second * gain[column + 1];
                    total += scaled[i].first + scaled[i].second;
                    products += scaled[i].first * norms[i].first + scaled[i].second * norms[i].second;
                }
            }
        }
        const float mean = warp_sum(total) / COLUMNS;
        const float mean_product = warp_sum(products) / COLUMNS;
        const float inverse = rstd[row];
        for (int pass = 0; pass < PASSES; ++pass) {
            const int counter = pass * WARP + thread;
            Pair factors[4];
            dropout_factors((Word)counter, row, example, position, key, site, threshold, scale, factors);
            for (int word = 0; word < 4; ++word) {
                const int i = pass * 4 + word;
                const int column = counter / LANES * CHUNK + word * 16 + counter % LANES * 2;
                if (column < COLUMNS) {
                    Pair of_sum;
                    of_sum.first = (scaled[i].first - mean - norms[i].first * mean_product) * inverse;
                    of_sum.second = (scaled[i].second - mean - norms[i].second * mean_product) * inverse;
                    store(of_residual + row * COLUMNS + column, of_sum);
                    of_sum.first *= factors[word].first;
                    of_sum.second *= factors[word].second;
                    store(of_values + row * COLUMNS + column, of_sum);
                    of_bias[i].first += of_sum.first;
                    of_bias[i].second += of_sum.second;
                }
            }
        }
    }
    float* const sums = partial + warp * 3 * COLUMNS;
    for (int pass = 0; pass < PASSES; ++pass) {
        const int counter = pass * WARP + thread;
        for (int word = 0; word < 4; ++word) {
            const int i = pass * 4 + word;
            const int column = counter / LANES * CHUNK + word * 16 + counter % LANES * 2;
            if (column < COLUMNS) {
                store(sums + column, of_bias[i]);
                store(sums + COLUMNS + column, of_gain[i]);
                store(sums + 2 * COLUMNS + column, of_norm_bias[i]);
            }
        }
    }
}

__device__ inline float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
}
__device__ inline float gelu_slope(float x) {
    return 0.5f * (1.0f + erff(x * 0.70710678118654752f)) + x * 0.39894228040143268f * expf(-0.5f * x * x);
}

// output = gelu(values + bias). A thread takes two columns of every gridDim.y-th row, here and below.
KERNEL void bias_gelu(const Value* __restrict__ values, const float* __restrict__ bias, long long rows,
                      int columns, Value* __restrict__ output) {
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * 2;
    if (column >= columns) {
        return;
    }
    const Pair added = load(bias + column);
    UNROLLED
    for (long long row = blockIdx.y; row < rows; row += gridDim.y) {
        Pair pair = load(values + row * columns + column);
        pair.first = gelu(pair.first + added.first);
        pair.second = gelu(pair.second + added.second);
        store(output + row * columns + column, pair);
    }
}

// partial: [gridDim.y, columns], sums over the rows.
KERNEL void bias_gelu_backward(const Value* __restrict__ gradient, const Value* __restrict__ values,
                               const float* __restrict__ bias, long long rows, int columns,
                               Value* __restrict__ of_values, float* __restrict__ partial) {
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * 2;
    if (column >= columns) {
        return;
    }
    const Pair added = load(bias + column);
    Pair sum = {0.0f, 0.0f};
    UNROLLED
    for (long long row = blockIdx.y; row < rows; row += gridDim.y) {
        const Pair upstream = load(gradient + row * columns + column);
        Pair pair = load(values + row * columns + column);
        pair.first = upstream.first * gelu_slope(pair.first + added.first);
        pair.second = upstream.second * gelu_slope(pair.second + added.second);
        store(of_values + row * columns + column, pair);
        sum.first += pair.first;
        sum.second += pair.second;
    }
    store(partial + blockIdx.y * (long long)columns + column, sum);
}
